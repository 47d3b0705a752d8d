package plugins

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"kong/declarative"
	"kong/gateway"
)

type correlationID struct {
	HeaderName     string `json:"header_name"`
	Generator      string `json:"generator" oneof:"uuid,uuid#counter"`
	EchoDownstream bool   `json:"echo_downstream"`
}

// newCorrelationID gives every request an id, unless it has one.
func newCorrelationID(c *correlationID, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	prefix := gateway.Uuid()
	var counter atomic.Int64
	h := gateway.Handler{Access: func(x *gateway.Exchange) {
		if x.Request.Header.Get(c.HeaderName) != "" {
			return
		}
		id := gateway.Uuid()
		if c.Generator == "uuid#counter" {
			id = fmt.Sprintf("%s#%d", prefix, counter.Add(1))
		}
		x.Request.Header.Set(c.HeaderName, id)
	}}
	if c.EchoDownstream {
		h.Header = func(x *gateway.Exchange, header http.Header) {
			if id := x.Request.Header.Get(c.HeaderName); id != "" {
				header.Set(c.HeaderName, id)
			}
		}
	}
	return h
}

type termination struct {
	StatusCode  int    `json:"status_code" range:"100,599"`
	Message     string `json:"message"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

var terminationTexts = map[int]string{
	401: "Unauthorized", 404: "Not found", 405: "Method not allowed", 500: "An unexpected error occurred", 502: "Bad Gateway",
	503: "Service unavailable",
}

// newTermination responds to every request.
func newTermination(c *termination, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	if c.Message != "" && c.Body != "" {
		wrong.Add("config", "message cannot be used with content_type or body")
	}
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		if c.Body == "" {
			if text := cmp.Or(c.Message, terminationTexts[c.StatusCode]); text != "" {
				x.Exit(c.StatusCode, gateway.Message(text), nil)
			} else {
				x.Exit(c.StatusCode, nil, nil)
			}
			return
		}
		x.Header().Set("Content-Type", cmp.Or(c.ContentType, "application/json; charset=utf-8"))
		x.Answer(c.StatusCode, c.Body)
	}}
}

type redirect struct {
	StatusCode       int    `json:"status_code" range:"100,599"`
	Location         string `json:"location" need:"yes"`
	KeepIncomingPath bool   `json:"keep_incoming_path"`
}

// newRedirect redirects every request.
func newRedirect(c *redirect, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		location := c.Location
		if target, err := url.Parse(location); err == nil && c.KeepIncomingPath {
			location = target.ResolveReference(&url.URL{Path: "/"}).String()
			location = strings.TrimSuffix(location, "/") + x.Request.URL.RequestURI()
		}
		x.Header().Set("Location", location)
		x.Answer(c.StatusCode, "redirecting")
	}}
}
