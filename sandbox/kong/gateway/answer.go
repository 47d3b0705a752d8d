package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"kong/settings"
)

// Responses of the gateway itself, and the record of every response.

// failed responds in the place of an upstream that failed.
func (x *Exchange) failed(err error) {
	var name *net.DNSError
	var slow net.Error
	switch {
	case errors.Is(err, errNoPeer):
		x.Fail(http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, context.Canceled): // the client hung up: nobody reads an answer
		x.Status = 499
		panic(http.ErrAbortHandler)
	case errors.As(err, &name):
		x.Fail(http.StatusServiceUnavailable, "name resolution failed")
	case errors.As(err, &slow) && slow.Timeout():
		x.nginxError(http.StatusGatewayTimeout, "The upstream server is timing out")
	default:
		log.Printf("%s: %s", x.Id, err)
		x.nginxError(http.StatusBadGateway, "An invalid response was received from the upstream server")
	}
}

// nginxError answers with an error that nginx found itself. Without an Accept header its form is what Kong's setting
// error_default_type says: text.
func (x *Exchange) nginxError(status int, message string) {
	header := x.Request.Header
	accept := cmp.Or(header.Get("Accept"), header.Get("Content-Type"), "text/plain")
	if strings.HasPrefix(accept, "application/grpc") && speaksGRPC(x.Request) {
		x.speakGRPC(status, message)
		return
	}
	kind, body := errorBody(accept, message, x.Id)
	x.Header().Set("Content-Type", kind)
	x.Answer(status, body)
}

// Fail answers with an error of Kong's own, in the form that the client accepts.
func (x *Exchange) Fail(status int, message string) {
	if speaksGRPC(x.Request) {
		x.speakGRPC(status, "")
		return
	}
	kind, body := errorBody(x.Request.Header.Get("Accept"), message, x.Id)
	x.Header().Set("Content-Type", kind)
	x.Answer(status, body)
}

func errorBody(accept, message, id string) (kind, body string) {
	kind, best := "", 0.0
	for entry := range strings.SplitSeq(accept, ",") {
		media, parameters, _ := strings.Cut(strings.TrimSpace(entry), ";")
		quality := 1.0
		if _, q, weighted := strings.Cut(parameters, "q="); weighted {
			quality, _ = strconv.ParseFloat(q, 64)
		}
		if quality > best {
			kind, best = media, quality
		}
	}
	switch kind {
	case "text/html":
		return "text/html; charset=utf-8", "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n" +
			fmt.Sprintf("  <body>\n    <h1>Error</h1>\n    <p>%s.</p>\n    <p>request_id: %s</p>\n  </body>\n</html>\n", html.EscapeString(message), id)
	case "application/xml":
		return "application/xml; charset=utf-8", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n" +
			fmt.Sprintf("  <message>%s</message>\n  <requestid>%s</requestid>\n</error>\n", message, id)
	case "text/plain", "text/*":
		return "text/plain; charset=utf-8", fmt.Sprintf("%s\nrequest_id: %s\n", message, id)
	}
	return "application/json; charset=utf-8", fmt.Sprintf("{\n  \"message\":%q,\n  \"request_id\":%q\n}", message, id)
}

// Exit answers with a plugin's response: compact JSON, or nothing.
func (x *Exchange) Exit(status int, body any, headers map[string]string) {
	for name, value := range headers {
		x.Header().Set(name, value)
	}
	if object, is := body.(map[string]string); is && speaksGRPC(x.Request) {
		x.speakGRPC(status, object["message"])
		return
	}
	content := ""
	if body != nil {
		content = string(EncodeJSON(body))
		x.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	x.Answer(status, content)
}

func (x *Exchange) Answer(status int, body string) {
	header := x.Header()
	x.filterHeader(header)
	x.signHeader(header)
	content := x.filterBody(header, []byte(body))
	header.Set("Content-Length", strconv.Itoa(len(content)))
	x.WriteHeader(status)
	x.Write(content)
}

// signHeader adds Kong's own headers, after all plugins.
func (x *Exchange) signHeader(header http.Header) {
	set := func(name, value string) {
		if x.Gateway.Settings.Headers[strings.ToLower(name)] {
			header.Set(name, value)
		}
	}
	if x.Sent.IsZero() { // no request reached the service
		header.Del("Server")
		set("Server", "kong/"+settings.Version)
		set("X-Kong-Response-Latency", milliseconds(time.Since(x.Start)))
	} else {
		set("X-Kong-Upstream-Latency", milliseconds(x.Waited))
		set("X-Kong-Proxy-Latency", milliseconds(x.Sent.Sub(x.Start)))
		protocol := "1.1"
		if x.Service.Protocol == "grpc" {
			protocol = "2"
		}
		set("Via", strings.TrimPrefix(x.upstreamVia+", "+protocol+" kong/"+settings.Version, ", "))
		if header.Get("Server") == "" {
			set("Server", "kong/"+settings.Version)
		}
	}
	set("X-Kong-Request-Id", x.Id)
}

// recorder records status and size of a response.
type recorder struct {
	http.ResponseWriter
	Status, Size int
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		r.Status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(content []byte) (int, error) {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(content)
	r.Size += n
	return n, err
}

// log writes nginx's "combined" line.
func (r *recorder) log(enabled bool, client netip.Addr, request *http.Request, more string) {
	if !enabled {
		return
	}
	fmt.Fprintf(os.Stdout, "%s - - [%s] \"%s %s %s\" %d %d %q %q%s\n", client, time.Now().Format("02/Jan/2006:15:04:05 -0700"),
		request.Method, request.RequestURI, request.Proto, r.Status, r.Size, cmp.Or(request.Referer(), "-"), cmp.Or(request.UserAgent(), "-"), more)
}
