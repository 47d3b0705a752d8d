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
	Origins     []string `json:"origins"`
	Headers     []string `json:"headers"`
	Methods     []string `json:"methods" oneof:"GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"`
	MaxAge      *int     `json:"max_age"`
	Credentials bool     `json:"credentials"`
}

var corsDefaults = cors{
	Methods: []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"},
}

var plainOrigin = regexp.MustCompile(`^[A-Za-z0-9.:/-]+$`)

func newCORS(c *cors, _ *declarative.PluginEntity, faults *declarative.Faults) gateway.Handler {
	for _, origin := range c.Origins {
		if origin != "*" && !plainOrigin.MatchString(origin) {
			faults.Add("config.origins", "'"+origin+"': this stand-in for Kong has no patterns")
		}
	}
	isPreflight := func(r *http.Request) bool {
		return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
	}
	return gateway.Handler{
		Access: func(x *gateway.Exchange) {
			if !isPreflight(x.Request) {
				return
			}
			header := x.Header()
			c.allowOrigin(header, x.Request.Header.Get("Origin"))
			if allowed := cmp.Or(strings.Join(c.Headers, ","), x.Request.Header.Get("Access-Control-Request-Headers")); allowed != "" {
				header.Set("Access-Control-Allow-Headers", allowed)
			}
			header.Set("Access-Control-Allow-Methods", strings.Join(c.Methods, ","))
			if c.MaxAge != nil {
				header.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAge))
			}
			x.Preflight = true
			x.Exit(http.StatusOK, nil, nil)
		},
		Header: func(x *gateway.Exchange, header http.Header) {
			if !x.Preflight {
				c.allowOrigin(header, x.Request.Header.Get("Origin"))
			}
		},
	}
}

// allowOrigin sets the header that allows scripts of an origin to read the response.
func (c *cors) allowOrigin(header http.Header, origin string) {
	allowed := c.allowed(origin)
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

func (c *cors) allowed(origin string) string {
	switch {
	case len(c.Origins) == 0:
		return "*"
	case len(c.Origins) == 1: // a single origin is returned for every request
		return c.Origins[0]
	}
	normalized := normalOrigin(origin)
	for _, one := range c.Origins {
		switch {
		case one == "*":
			return "*"
		case normalOrigin(one) == normalized:
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
