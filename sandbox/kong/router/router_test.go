package router

import (
	"net/http/httptest"
	"testing"

	"kong/declarative"
)

func TestPathsAreNormalizedSoThatNoneIsInDisguise(t *testing.T) {
	for path, normalized := range map[string]string{
		"/foo":          "/foo",
		"/foo/":         "/foo/",
		"//foo":         "/foo",
		"/a/../foo":     "/foo",
		"/a/%2e%2e/foo": "/foo",
		"/%66oo":        "/foo",
		"/a%2fb":        "/a%2Fb",
		"/..":           "/",
		"/foo/.":        "/foo/",
	} {
		if found := NormalizePath(path); found != normalized {
			t.Errorf("%s becomes %s, not %s", path, found, normalized)
		}
	}
}

func TestTheUpstreamsPathIsJoinedAsPathHandlingV0Does(t *testing.T) {
	for _, row := range []struct {
		base, path, rest string
		strip            bool
		joined           string
	}{
		{"/", "/foo/x", "", false, "/foo/x"},
		{"/api", "/foo", "", false, "/api/foo"},
		{"/api", "/", "", false, "/api"},
		{"/", "/foo", "", true, "/"},
		{"/", "/foo/x", "/x", true, "/x"},
		{"/api", "/foo/x", "x", true, "/api/x"},
		{"/api", "/foo", "", true, "/api"},
		{"/api", "/foo/", "", true, "/api/"},
	} {
		strip := row.strip
		match := Match{Route: &declarative.Route{StripPath: &strip}, rest: row.rest}
		if found := match.UpstreamPath(row.base, row.path); found != row.joined {
			t.Errorf("%+v: %s", row, found)
		}
	}
}

func TestTheMoreSpecificRouteWins(t *testing.T) {
	routes := []*declarative.Route{
		{Name: "any", Paths: []string{"/"}},
		{Name: "prefix", Paths: []string{"/a"}},
		{Name: "regex", Paths: []string{"~/a/b$"}},
		{Name: "header", Paths: []string{"/a"}, Headers: map[string][]string{"x-canary": {"always"}}},
		{Name: "wildcard", Paths: []string{"/"}, Hosts: []string{"*.example.com"}},
		{Name: "host", Paths: []string{"/"}, Hosts: []string{"api.example.com"}},
	}
	for _, row := range []struct{ url, canary, name string }{
		{"http://x/z", "", "any"},
		{"http://x/ab", "", "prefix"},
		{"http://x/a/b", "", "regex"},
		{"http://x/a/b", "ALWAYS", "header"},
		{"http://www.example.com/a", "", "wildcard"},
		{"http://api.example.com:8000/a", "always", "host"},
		{"http://API.example.com/a", "", "wildcard"}, // case counts
	} {
		request := httptest.NewRequest("GET", row.url, nil)
		if row.canary != "" {
			request.Header.Set("X-Canary", row.canary)
		}
		if found := New(routes).Find(request, NormalizePath(request.URL.Path)); found == nil || found.Name != row.name {
			t.Errorf("%+v: %+v", row, found)
		}
	}
}
