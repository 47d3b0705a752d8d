module kong

go 1.26

require (
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/gomodule/redigo v1.9.3
	github.com/pires/go-proxyproto v0.8.1
	github.com/yuin/gopher-lua v1.1.2
)
