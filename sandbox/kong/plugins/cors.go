package plugins

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"kong/declarative"
	"kong/gateway"
)

type cors struct {
	Origins           []string `json:"origins"`
	Headers           []string `json:"headers"`
	ExposedHeaders    []string `json:"exposed_headers"`
	Methods           []string `json:"methods" oneof:"GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"`
	MaxAge            *int     `json:"max_age"`
	Credentials       bool     `json:"credentials"`
	PreflightContinue bool     `json:"preflight_continue"`
	PrivateNetwork    bool     `json:"private_network"`
}

var corsDefaults = cors{
	Methods: []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"},
}

var plainOrigin = regexp.MustCompile(`^[A-Za-z0-9.:/-]+$`)

func newCORS(c *cors, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	patterns := map[string]*regexp.Regexp{}
	for _, origin := range c.Origins {
		if origin == "*" || plainOrigin.MatchString(origin) {
			continue
		}
		compiled, err := regexp.Compile("^(?:" + strings.TrimSuffix(strings.TrimPrefix(origin, "^"), "$") + ")$")
		if err != nil {
			wrong.Add("config.origins", "'"+origin+"' is not a valid regex")
		}
		patterns[origin] = compiled
	}
	isPreflight := func(r *http.Request) bool {
		return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
	}
	return gateway.Handler{
		Access: func(x *gateway.Exchange) {
			if !isPreflight(x.Request) || c.PreflightContinue {
				return
			}
			header := x.Header()
			c.allowOrigin(header, x.Request.Header.Get("Origin"), patterns)
			if allowed := cmp.Or(strings.Join(c.Headers, ","), x.Request.Header.Get("Access-Control-Request-Headers")); allowed != "" {
				header.Set("Access-Control-Allow-Headers", allowed)
			}
			header.Set("Access-Control-Allow-Methods", strings.Join(c.Methods, ","))
			if c.MaxAge != nil {
				header.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
			}
			if c.PrivateNetwork && x.Request.Header.Get("Access-Control-Request-Private-Network") == "true" {
				header.Set("Access-Control-Allow-Private-Network", "true")
			}
			x.Preflight = true
			x.Exit(http.StatusOK, nil, nil)
		},
		Header: func(x *gateway.Exchange, header http.Header) {
			origin := x.Request.Header.Get("Origin")
			if x.Preflight {
				return
			}
			c.allowOrigin(header, origin, patterns)
			if len(c.ExposedHeaders) > 0 {
				header.Set("Access-Control-Expose-Headers", strings.Join(c.ExposedHeaders, ","))
			}
		},
	}
}

// allowOrigin sets the header that allows scripts of an origin to read the response.
func (c *cors) allowOrigin(header http.Header, origin string, patterns map[string]*regexp.Regexp) {
	allowed := c.allowed(origin, patterns)
	if allowed == "*" && c.Credentials && origin != "" { // browsers refuse the two together
		allowed = origin
		header.Add("Vary", "Origin")
	} else if allowed != "*" {
		header.Add("Vary", "Origin")
	}
	if header.Del("Access-Control-Allow-Origin"); allowed != "" {
		header.Set("Access-Control-Allow-Origin", allowed)
	}
	if c.Credentials && allowed != "*" {
		header.Set("Access-Control-Allow-Credentials", "true")
	}
}

func (c *cors) allowed(origin string, patterns map[string]*regexp.Regexp) string {
	switch {
	case len(c.Origins) == 0:
		return "*"
	case len(c.Origins) == 1 && patterns[c.Origins[0]] == nil: // the only one is named whoever asks
		return c.Origins[0]
	}
	normalized := normalOrigin(origin)
	for _, one := range c.Origins {
		pattern := patterns[one]
		switch {
		case one == "*":
			return "*"
		case pattern == nil:
			if normalOrigin(one) == normalized {
				return normalized
			}
		case strings.Contains(one, ":") && pattern.MatchString(normalized), pattern.MatchString(hostOf(origin)):
			return normalized
		}
	}
	return ""
}

func normalOrigin(origin string) string {
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Host == "" {
		return origin
	}
	return parsed.Scheme + "://" + gateway.WithoutDefaultPort(parsed.Host, parsed.Scheme)
}

func hostOf(origin string) string {
	if parsed, err := url.Parse(origin); err == nil && parsed.Host != "" {
		return parsed.Hostname()
	}
	return origin
}
