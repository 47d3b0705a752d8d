module kong

go 1.26

require github.com/pires/go-proxyproto v0.8.1
