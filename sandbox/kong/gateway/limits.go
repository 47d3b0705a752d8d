package gateway

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
)

var methodName = regexp.MustCompile(`^[A-Z_-]+$`)

// refuse answers requests that nginx takes for malformed or too large, before Kong sees them.
func (x *Exchange) refuse() {
	r, most := x.Request, x.Gateway.Settings.RequestHeaders
	total := len(r.Method) + len(r.RequestURI) + len(r.Proto) + 4
	if total > most.Size {
		x.nginxError(http.StatusRequestURITooLong, "URI too long")
		return
	}
	longest := 0
	for name, values := range r.Header {
		for _, value := range values {
			line := len(name) + len(value) + 4
			longest, total = max(longest, line), total+line
		}
	}
	switch {
	case longest > most.Size || total > most.Number*most.Size+1024: // and nginx's first buffer
		x.nginxError(http.StatusBadRequest, "Request header or cookie too large")
	case !methodName.MatchString(r.Method), r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.Host == "",
		len(r.Header.Values("Authorization")) > 1:
		x.nginxError(http.StatusBadRequest, "Bad request")
	case slices.Contains([]string{http.MethodTrace, http.MethodConnect}, r.Method):
		x.nginxError(http.StatusMethodNotAllowed, "Method not allowed")
	}
}

var errLargeHead = errors.New("upstream sent too big header while reading response header from upstream")

// checkHead holds a service's response against the buffer that nginx reads its headers into.
func (x *Exchange) checkHead(response *http.Response) error {
	size := len("HTTP/1.1 200 OK\r\n\r\n")
	for name, values := range response.Header {
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	most := x.Gateway.Settings.ResponseHeaders
	if response.ProtoMajor == 2 {
		most = x.Gateway.Settings.GrpcHeaders
	}
	if size > most {
		return errLargeHead
	}
	return nil
}
