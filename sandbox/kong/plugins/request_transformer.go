package plugins

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"kong/declarative"
	"kong/gateway"
)

type requestFields struct {
	Headers     []string `json:"headers"`
	Querystring []string `json:"querystring"`
	Body        []string `json:"body"`
}

type requestTransformer struct {
	HTTPMethod string        `json:"http_method"`
	Remove     requestFields `json:"remove"`
	Rename     requestFields `json:"rename"`
	Replace    struct {
		Headers     []string `json:"headers"`
		Querystring []string `json:"querystring"`
		Body        []string `json:"body"`
		URI         string   `json:"uri"`
	} `json:"replace"`
	Add    requestFields `json:"add"`
	Append requestFields `json:"append"`
}

func newRequestTransformer(c *requestTransformer, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	headers := edits{drop: c.Remove.Headers, rename: c.Rename.Headers, replace: c.Replace.Headers, add: c.Add.Headers, extend: c.Append.Headers}
	query := edits{drop: c.Remove.Querystring, rename: c.Rename.Querystring, replace: c.Replace.Querystring, add: c.Add.Querystring, extend: c.Append.Querystring}
	body := edits{drop: c.Remove.Body, rename: c.Rename.Body, replace: c.Replace.Body, add: c.Add.Body, extend: c.Append.Body}
	for field, e := range map[string]edits{"headers": headers, "querystring": query, "body": body} {
		e.check(field, true, wrong)
		for _, entry := range slices.Concat([]string{c.Replace.URI}, e.rename, e.replace, e.add, e.extend) {
			if strings.Contains(template.ReplaceAllString(entry, " "), "$(") {
				wrong.Add("config", entry+": this stand-in for Kong only renders $(headers.x), $(query_params.x), $(uri_captures.x) and "+dollar)
			}
		}
	}
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		render := templates(x)
		if c.HTTPMethod != "" {
			x.Request.Method = strings.ToUpper(c.HTTPMethod)
		}
		if c.Replace.URI != "" {
			x.UpstreamPath = render(c.Replace.URI)
		}
		editHeaders(x, headers, render)
		if !query.empty() {
			values := parseArguments(x.Request.URL.RawQuery)
			query.apply(formFields(values), render)
			x.Request.URL.RawQuery = encodeArguments(values)
		}
		if !body.empty() {
			editBody(x, body, render)
		}
	}}
}

// editHeaders leaves Host alone, but for a new value.
func editHeaders(x *gateway.Exchange, e edits, render func(string) string) {
	for _, entry := range e.replace {
		if name, value, _ := strings.Cut(entry, ":"); strings.EqualFold(name, "host") {
			x.UpstreamHost = render(value)
		}
	}
	e.apply(headerFields(x.Request.Header), render)
	x.Request.Header.Del("Host")
}

func editBody(x *gateway.Exchange, e edits, render func(string) string) {
	isForm := strings.Contains(strings.ToLower(x.Request.Header.Get("Content-Type")), "application/x-www-form-urlencoded")
	if !isForm && !gateway.IsJSON(x.Request.Header) {
		return
	}
	body, err := x.WholeBody()
	if err != nil {
		x.Fail(http.StatusBadRequest, "Bad request")
		return
	}
	if len(body) > x.Gateway.Settings.BodyBuffer {
		body = nil // nginx has put it into a file, which the plugin doesn't read
	}
	if len(body) == 0 { // nothing to change, but there may be something to add
		e = edits{add: e.add, extend: e.extend}
		if e.empty() {
			return
		}
	}
	if isForm {
		values := parseArguments(string(body))
		e.apply(formFields(values), render)
		x.ReplaceBody([]byte(encodeArguments(values)))
		return
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	edited, ok := e.editJSON(body, render)
	if !ok {
		x.Fail(http.StatusInternalServerError, "An unexpected error occurred")
		return
	}
	x.ReplaceBody(edited)
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

// dollar is a template of the text "$".
const dollar = `$("$")`

// template is $("$"), $(headers.name), $(headers["name"]) and the like, and what the controller makes of a rewritten
// prefix: $(uri_captures[1] == nil and "/" or "/" .. uri_captures[1]).
var template = regexp.MustCompile(`\$\((?:"\$"|(headers|query_params|uri_captures)(?:\.(\w+)|\[(?:"([^"]+)"|'([^']+)'|(\d+))\])` +
	`|uri_captures\[\d+\] == nil and "([^"]*)" or (?:"([^"]*)" \.\. )?uri_captures\[(\d+)\])\)`)

// templates renders with what a request is before a plugin changes it.
func templates(x *gateway.Exchange) func(string) string {
	headers, query := x.Request.Header.Clone(), x.Request.URL.Query()
	return func(text string) string {
		return template.ReplaceAllStringFunc(text, func(found string) string {
			if found == dollar {
				return "$"
			}
			parts := template.FindStringSubmatch(found)
			name := parts[2] + parts[3] + parts[4] + parts[5]
			switch parts[1] {
			case "": // the controller's
				if captured := x.Match.Capture(parts[8]); captured != "" {
					return parts[7] + captured
				}
				return parts[6]
			case "headers":
				return headers.Get(strings.ReplaceAll(name, "_", "-"))
			case "query_params":
				return query.Get(name)
			}
			return x.Match.Capture(name)
		})
	}
}
