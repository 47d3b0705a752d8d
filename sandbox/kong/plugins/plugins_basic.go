package plugins

import (
	"fmt"
	"net/http"
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
	StatusCode int    `json:"status_code" range:"100,599"`
	Message    string `json:"message" need:"yes"` // Kong has texts of its own
}

// newTermination responds to every request.
func newTermination(c *termination, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Access: func(x *gateway.Exchange) { x.Exit(c.StatusCode, gateway.Message(c.Message), nil) }}
}
