module kong

go 1.26

require github.com/pires/go-proxyproto v0.8.1

require github.com/yuin/gopher-lua v1.1.2 // indirect
