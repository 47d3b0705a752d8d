package plugins

import (
	"net/url"
	"strings"

	"kong/declarative"
	"kong/gateway"
)

type requestFields struct {
	Headers     []string `json:"headers"`
	Querystring []string `json:"querystring"`
}

type requestTransformer struct {
	Remove  requestFields `json:"remove"`
	Rename  requestFields `json:"rename"`
	Replace requestFields `json:"replace"`
	Add     requestFields `json:"add"`
}

// dollar is the template of the text "$", the only one that the stand-in renders.
const dollar = `$("$")`

func newRequestTransformer(c *requestTransformer, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	for _, fields := range []requestFields{c.Rename, c.Replace, c.Add} {
		for _, entries := range [][]string{fields.Headers, fields.Querystring} {
			for _, entry := range entries {
				if strings.Contains(strings.ReplaceAll(entry, dollar, " "), "$(") {
					wrong.Add("config", entry+": this stand-in for Kong only renders "+dollar)
				}
			}
		}
	}
	headers := edits{c.Remove.Headers, c.Rename.Headers, c.Replace.Headers, c.Add.Headers, true}
	query := edits{c.Remove.Querystring, c.Rename.Querystring, c.Replace.Querystring, c.Add.Querystring, true}
	headers.check("headers", wrong)
	query.check("querystring", wrong)
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		// Host stays as it is, but for a new value.
		for _, entry := range headers.replace {
			if name, value := headers.pair(entry); strings.EqualFold(name, "host") {
				x.UpstreamHost = value
			}
		}
		headers.apply(headerFields(x.Request.Header))
		x.Request.Header.Del("Host")
		if !query.empty() {
			values := parseArguments(x.Request.URL.RawQuery)
			query.apply(queryFields(values))
			x.Request.URL.RawQuery = encodeArguments(values)
		}
	}}
}

// parseArguments takes "&" alone for a separator, as OpenResty does.
func parseArguments(text string) url.Values {
	values := url.Values{}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		if name != "" && nameErr == nil && valueErr == nil {
			values.Add(name, value)
		}
	}
	return values
}

func encodeArguments(values url.Values) string {
	return strings.ReplaceAll(values.Encode(), "+", "%20")
}
