package plugins

import (
	"net/url"
	"slices"
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

// dollar is a template of the text "$".
const dollar = `$("$")`

func rendered(entries []string) []string {
	texts := make([]string, len(entries))
	for i, entry := range entries {
		texts[i] = strings.ReplaceAll(entry, dollar, "$")
	}
	return texts
}

func newRequestTransformer(c *requestTransformer, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	headers := edits{drop: c.Remove.Headers, rename: c.Rename.Headers, replace: c.Replace.Headers, add: c.Add.Headers}
	query := edits{drop: c.Remove.Querystring, rename: c.Rename.Querystring, replace: c.Replace.Querystring, add: c.Add.Querystring}
	for field, e := range map[string]edits{"headers": headers, "querystring": query} {
		e.check(field, true, wrong)
		for _, entry := range slices.Concat(e.rename, e.replace, e.add) {
			if strings.Contains(strings.ReplaceAll(entry, dollar, " "), "$(") {
				wrong.Add("config", entry+": this stand-in for Kong renders no template but "+dollar)
			}
		}
	}
	for _, e := range []*edits{&headers, &query} {
		e.rename, e.replace, e.add = rendered(e.rename), rendered(e.replace), rendered(e.add)
	}
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		for _, entry := range headers.replace {
			if name, value, _ := strings.Cut(entry, ":"); strings.EqualFold(name, "host") {
				x.UpstreamHost = value
			}
		}
		headers.applyToHeader(x.Request.Header)
		x.Request.Header.Del("Host") // only a new value counts
		if !query.empty() {
			values := parseArguments(x.Request.URL.RawQuery)
			query.apply(values, func(name string) string { return name })
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
