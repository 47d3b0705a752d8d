package gateway

import (
	"net/http"

	"kong/declarative"
)

// Kinds are the available plugins.
type Kinds interface {
	declarative.PluginKinds
	Priority(name string) int
	Has(name string) bool
}

// Handler is a plugin as configured. Any function may be missing.
type Handler struct {
	Rewrite func(*Exchange)              // before the route is looked up; plugins for everything only
	Access  func(*Exchange)              // before the upstream; the first answer ends the exchange
	Header  func(*Exchange, http.Header) // of the response, whoever made it
	// NewBodyFilter changes a response's body as it passes.
	NewBodyFilter func(*Exchange, http.Header) BodyFilter
	Log           func(*Exchange) // when the response is out
}

// BodyFilter gets each part of a body, then an empty last one.
type BodyFilter func(chunk []byte, last bool) []byte
