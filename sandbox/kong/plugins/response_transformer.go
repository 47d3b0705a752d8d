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
	headers := edits{drop: c.Remove.Headers, rename: c.Rename.Headers, replace: c.Replace.Headers, add: c.Add.Headers}
	headers.check("headers", false, wrong)
	return gateway.Handler{Header: func(_ *gateway.Exchange, header http.Header) { headers.applyToHeader(header) }}
}
