package plugins

import (
	"net/http"

	"kong/declarative"
	"kong/gateway"
)

type responseFields struct {
	Headers []string `json:"headers"`
}

type responseTransformer struct {
	Remove  responseFields `json:"remove"`
	Rename  responseFields `json:"rename"`
	Replace responseFields `json:"replace"`
	Add     responseFields `json:"add"`
}

func newResponseTransformer(c *responseTransformer, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	headers := edits{c.Remove.Headers, c.Rename.Headers, c.Replace.Headers, c.Add.Headers, false}
	headers.check("headers", wrong)
	return gateway.Handler{Header: func(_ *gateway.Exchange, header http.Header) { headers.apply(headerFields(header)) }}
}
