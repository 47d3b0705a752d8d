package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func isGRPC(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// speaksGRPC reports whether Kong responds to a request with a gRPC status.
func speaksGRPC(r *http.Request) bool { return isGRPC(r) && r.ProtoMajor == 2 }

// allowedByProtocol answers a request that its route's protocols don't allow.
func (x *Exchange) allowedByProtocol() bool {
	has := func(protocol string) bool { return slices.Contains(x.Match.Protocols, protocol) }
	secure := x.Forwarded.Proto == "https"
	switch {
	case has("https") && !has("http") && !secure:
		x.demandHTTPS()
	case !has("grpc") && !has("grpcs"):
		return true
	case !isGRPC(x.Request):
		x.Fail(http.StatusUnsupportedMediaType, "Non-gRPC request matched gRPC route")
	case x.Request.ProtoMajor != 2:
		x.Header().Set("Connection", "Upgrade")
		x.Header().Set("Upgrade", "HTTP/2")
		x.Fail(http.StatusUpgradeRequired, "Please use HTTP2 protocol")
	case !has("grpc") && !secure:
		x.Header().Set("Grpc-Message", "gRPC request matched gRPCs route")
		x.Header().Set("Grpc-Status", "1")
		x.Header().Set("Content-Type", "application/grpc")
		x.Answer(http.StatusOK, "")
	default:
		return true
	}
	return false
}

var grpcStatus = map[int]int{
	200: 0, 400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 429: 8, 499: 1, 500: 13, 501: 12, 503: 14, 504: 4,
}

var grpcNames = map[int]string{
	0: "OK", 1: "Canceled", 2: "Unknown", 3: "InvalidArgument", 4: "DeadlineExceeded", 5: "NotFound", 6: "AlreadyExists",
	7: "PermissionDenied", 8: "ResourceExhausted", 12: "Unimplemented", 13: "Internal", 14: "Unavailable", 16: "Unauthenticated",
}

// speakGRPC sends a response of the gateway itself to a gRPC client: in headers, without a body. Kong drops the message of
// its own errors; the status' name takes its place.
func (x *Exchange) speakGRPC(status int, message string) {
	code, known := grpcStatus[status]
	switch {
	case known:
	case status >= 500:
		code = 13
	case status >= 400:
		code = 3
	case status >= 200 && status < 300:
		code = 0
	default:
		code = 2
	}
	if message == "" {
		message = grpcNames[code]
	}
	x.Header().Set("Content-Type", "application/grpc")
	x.Header().Set("Grpc-Status", strconv.Itoa(code))
	x.Header().Set("Grpc-Message", message)
	x.Answer(status, "")
}

// statusLast moves a gRPC status that came with the headers, without any message, behind them. The proxy may flush
// headers at once; a client takes a stream that then ends without a status for broken.
func statusLast(response *http.Response) {
	if response.ContentLength != 0 || response.Header.Get("Grpc-Status") == "" {
		return
	}
	response.Trailer = http.Header{}
	for _, name := range []string{"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin"} {
		if values := response.Header.Values(name); len(values) > 0 {
			response.Trailer[name] = values
			response.Header.Del(name)
		}
	}
}
