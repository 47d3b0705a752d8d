package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
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

func newRequestTransformer(c *requestTransformer, _ *pluginEntity, wrong *faults) handler {
	headers := edits{drop: c.Remove.Headers, rename: c.Rename.Headers, replace: c.Replace.Headers, add: c.Add.Headers, extend: c.Append.Headers}
	query := edits{drop: c.Remove.Querystring, rename: c.Rename.Querystring, replace: c.Replace.Querystring, add: c.Add.Querystring, extend: c.Append.Querystring}
	body := edits{drop: c.Remove.Body, rename: c.Rename.Body, replace: c.Replace.Body, add: c.Add.Body, extend: c.Append.Body}
	for field, e := range map[string]edits{"headers": headers, "querystring": query, "body": body} {
		e.check(field, true, wrong)
		for _, entry := range slices.Concat([]string{c.Replace.URI}, e.replace, e.add, e.extend) {
			if strings.Contains(template.ReplaceAllString(entry, ""), "$(") {
				wrong.add("config", entry+": this stand-in for Kong only renders $(headers.x), $(query_params.x) and $(uri_captures.x)")
			}
		}
	}
	return handler{access: func(x *exchange) {
		render := x.templates()
		if c.HTTPMethod != "" {
			x.request.Method = strings.ToUpper(c.HTTPMethod)
		}
		if c.Replace.URI != "" {
			x.upstreamPath = render(c.Replace.URI)
		}
		x.editHeaders(headers, render)
		if !query.empty() {
			values := parseArguments(x.request.URL.RawQuery)
			query.apply(formBag(values), render)
			x.request.URL.RawQuery = encodeArguments(values)
		}
		if !body.empty() {
			x.editBody(body, render)
		}
	}}
}

// editHeaders leaves Host alone, but for a new value.
func (x *exchange) editHeaders(e edits, render func(string) string) {
	for _, entry := range e.replace {
		if name, value, _ := strings.Cut(entry, ":"); strings.EqualFold(name, "host") {
			x.upstreamHost = render(value)
		}
	}
	e.apply(headerBag(x.request.Header), render)
	x.request.Header.Del("Host")
}

func (x *exchange) editBody(e edits, render func(string) string) {
	isForm := strings.Contains(strings.ToLower(x.request.Header.Get("Content-Type")), "application/x-www-form-urlencoded")
	if !isForm && !isJSON(x.request.Header) {
		return
	}
	body, err := x.wholeBody()
	if err != nil {
		x.fail(http.StatusBadRequest, "Bad request")
		return
	}
	if len(body) > x.gateway.settings.bodyBuffer {
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
		e.apply(formBag(values), render)
		x.replaceBody([]byte(encodeArguments(values)))
		return
	}
	if len(body) == 0 {
		body = []byte("{}")
	}
	edited, ok := e.editJSON(body, render)
	if !ok {
		x.fail(http.StatusInternalServerError, "An unexpected error occurred")
		return
	}
	x.replaceBody(edited)
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

// template is $(headers.name), $(headers["name"]) and the like, and what the controller makes of a rewritten prefix:
// $(uri_captures[1] == nil and "/" or "/" .. uri_captures[1]).
var template = regexp.MustCompile(`\$\((?:(headers|query_params|uri_captures)(?:\.(\w+)|\[(?:"([^"]+)"|'([^']+)'|(\d+))\])` +
	`|uri_captures\[\d+\] == nil and "([^"]*)" or (?:"([^"]*)" \.\. )?uri_captures\[(\d+)\])\)`)

// templates renders with what a request is before a plugin changes it.
func (x *exchange) templates() func(string) string {
	headers, query := x.request.Header.Clone(), x.request.URL.Query()
	return func(text string) string {
		return template.ReplaceAllStringFunc(text, func(found string) string {
			parts := template.FindStringSubmatch(found)
			name := parts[2] + parts[3] + parts[4] + parts[5]
			switch parts[1] {
			case "": // the controller's
				if captured := x.match.capture(parts[8]); captured != "" {
					return parts[7] + captured
				}
				return parts[6]
			case "headers":
				return headers.Get(strings.ReplaceAll(name, "_", "-"))
			case "query_params":
				return query.Get(name)
			}
			return x.match.capture(name)
		})
	}
}

// capture is what a group of the route's path matched, by number or name.
func (m *match) capture(name string) string {
	index, err := strconv.Atoi(name)
	if err != nil {
		index = -1
		if m.regex != nil {
			index = m.regex.SubexpIndex(name)
		}
	}
	if index < 0 || index >= len(m.captures) {
		return ""
	}
	return m.captures[index]
}
