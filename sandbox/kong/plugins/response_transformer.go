package plugins

import (
	"log"
	"net/http"

	"kong/declarative"
	"kong/gateway"
)

type responseNames struct {
	Headers []string `json:"headers"`
	JSON    []string `json:"json"`
}

type responseValues struct {
	Headers   []string `json:"headers"`
	JSON      []string `json:"json"`
	JSONTypes []string `json:"json_types" oneof:"boolean,number,string"`
}

type responseTransformer struct {
	Remove  responseNames  `json:"remove"`
	Rename  responseNames  `json:"rename"`
	Replace responseValues `json:"replace"`
	Add     responseValues `json:"add"`
	Append  responseValues `json:"append"`
}

func newResponseTransformer(c *responseTransformer, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	headers := edits{
		drop: c.Remove.Headers, rename: c.Rename.Headers, replace: c.Replace.Headers, add: c.Add.Headers, extend: c.Append.Headers,
	}
	body := edits{
		drop: c.Remove.JSON, rename: c.Rename.JSON, replace: c.Replace.JSON, add: c.Add.JSON, extend: c.Append.JSON,
		types: [3][]string{c.Replace.JSONTypes, c.Add.JSONTypes, c.Append.JSONTypes},
	}
	headers.check("headers", false, wrong)
	body.check("json", false, wrong)
	h := gateway.Handler{Header: func(_ *gateway.Exchange, header http.Header) { headers.apply(headerFields(header), asWritten) }}
	if !body.empty() {
		h.Body = func(x *gateway.Exchange, content []byte) []byte {
			edited, ok := body.editJSON(content, asWritten)
			if !ok {
				log.Printf("%s: response-transformer: attempt to index a value that is no object", x.Id)
				return nil
			}
			return edited
		}
	}
	return h
}
