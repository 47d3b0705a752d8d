// Package router finds the route of a request as Kong's traditional router does.
package router

import (
	"cmp"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kong/declarative"
)

// Router is every candidate, in the order in which Kong's traditional router tries them; the first that matches
// wins. A route with several paths has a candidate for each.
type Router []candidate

type candidate struct {
	route      *declarative.Route
	prefix     string         // a plain path
	regex      *regexp.Regexp // or a pattern
	attributes []bool         // which kinds of condition it has, the weightiest first
	plainHosts bool
}

// Match is a candidate that fits a request.
type Match struct {
	*declarative.Route
	Prefix, rest string // the request's path, split where the route's path ends
}

func New(routes []*declarative.Route) Router {
	var candidates Router
	for _, r := range routes {
		base := candidate{
			route:      r,
			attributes: []bool{len(r.Hosts) > 0, len(r.Headers) > 0, len(r.Paths) > 0},
			plainHosts: len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.Contains(h, "*") }),
		}
		if len(r.Paths) == 0 {
			candidates = append(candidates, base)
		}
		for _, path := range r.Paths {
			one := base
			if pattern, regex := strings.CutPrefix(path, "~"); regex {
				one.regex, _ = declarative.CompilePath(pattern)
			} else {
				one.prefix = NormalizePath(path)
			}
			candidates = append(candidates, one)
		}
	}
	slices.SortStableFunc(candidates, func(a, b candidate) int { return b.compare(a) })
	return candidates
}

// compare is positive if a is tried before b: more kinds of condition first, then the weightier kinds, then exact
// hosts, regex paths, more headers, the regex priority, and the longer path.
func (a candidate) compare(b candidate) int {
	order := cmp.Compare(count(a.attributes), count(b.attributes))
	for i := range a.attributes {
		order = cmp.Or(order, boolToInt(a.attributes[i])-boolToInt(b.attributes[i]))
	}
	order = cmp.Or(order,
		boolToInt(a.plainHosts)-boolToInt(b.plainHosts),
		boolToInt(a.regex != nil)-boolToInt(b.regex != nil),
		cmp.Compare(len(a.route.Headers), len(b.route.Headers)))
	if a.regex != nil && b.regex != nil {
		order = cmp.Or(order, cmp.Compare(a.route.RegexPriority, b.route.RegexPriority))
	}
	return cmp.Or(order, cmp.Compare(len(a.prefix), len(b.prefix)))
}

func count(flags []bool) (n int) {
	for _, flag := range flags {
		n += boolToInt(flag)
	}
	return n
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (candidates Router) Find(r *http.Request, path string) *Match {
	host := r.Host // as it is written, like Kong
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	for _, c := range candidates {
		if !c.fits(r, host) {
			continue
		}
		switch {
		case c.regex != nil:
			if end := c.regex.FindStringIndex(path); end != nil {
				return &Match{c.route, path[:end[1]], sanitizeRest(path[end[1]:])}
			}
		case c.prefix != "":
			if rest, found := strings.CutPrefix(path, c.prefix); found {
				return &Match{c.route, c.prefix, sanitizeRest(rest)}
			}
		default:
			return &Match{c.route, "", strings.TrimPrefix(path, "/")}
		}
	}
	return nil
}

func (c candidate) fits(r *http.Request, host string) bool {
	if len(c.route.Hosts) > 0 && !slices.ContainsFunc(c.route.Hosts, func(pattern string) bool { return hostFits(pattern, host) }) {
		return false
	}
	for name, patterns := range c.route.Headers {
		if !slices.ContainsFunc(r.Header.Values(name), func(value string) bool { return headerFits(patterns, value) }) {
			return false
		}
	}
	return true
}

func hostFits(pattern, host string) bool {
	if suffix, left := strings.CutPrefix(pattern, "*"); left {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	if prefix, right := strings.CutSuffix(pattern, "*"); right {
		return len(host) > len(prefix) && strings.HasPrefix(host, prefix)
	}
	return host == pattern
}

func headerFits(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return strings.EqualFold(p, value) })
}

// UpstreamPath joins a service's path and what remains of the request's, as Kong's path handling "v0" does.
func (m *Match) UpstreamPath(base, path string) string {
	base = cmp.Or(base, "/")
	if !*m.StripPath {
		if base == "/" || path != "/" {
			return strings.TrimSuffix(base, "/") + path
		}
		return base
	}
	if m.rest != "" {
		return strings.TrimSuffix(base, "/") + "/" + strings.TrimPrefix(m.rest, "/")
	}
	if base == "/" {
		return base
	}
	trimmed := strings.TrimSuffix(base, "/")
	if strings.HasSuffix(path, "/") && (len(path) > 1 || trimmed != base) {
		return trimmed + "/"
	}
	return trimmed
}

// sanitizeRest keeps "/foo/../x" out of reach of a client that asks a route with the path "/foo" for "/foo../x".
func sanitizeRest(rest string) string {
	if rest == "." || rest == ".." {
		return ""
	}
	return strings.TrimPrefix(strings.TrimPrefix(rest, "../"), "./")
}

// NormalizePath decodes needless escapes, and resolves dots and double slashes, so that an encoded path can't bypass
// a route.
func NormalizePath(path string) string {
	var decoded strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) {
			if value, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				if unreserved(byte(value)) {
					decoded.WriteByte(byte(value))
				} else {
					decoded.WriteString(strings.ToUpper(path[i : i+3]))
				}
				i += 2
				continue
			}
		}
		decoded.WriteByte(c)
	}
	var kept []string
	segments := strings.Split(decoded.String(), "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
			continue
		}
		if last {
			kept = append(kept, "")
		}
	}
	return "/" + strings.Join(kept, "/")
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
