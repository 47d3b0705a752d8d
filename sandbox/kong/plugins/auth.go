package plugins

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kong/declarative"
	"kong/gateway"
)

// authenticate sets the consumer for later plugins and for the service.
func authenticate(x *gateway.Exchange, c *declarative.Consumer, credential string) {
	x.Consumer, x.Credential = c, credential
	for name, value := range map[string]string{
		"X-Consumer-ID":           c.ID,
		"X-Consumer-Custom-ID":    "",
		"X-Consumer-Username":     c.Username,
		"X-Credential-Identifier": credential,
		"X-Anonymous-Consumer":    "",
	} {
		x.Request.Header.Del(name) // a client can't claim an identity
		if value != "" {
			x.Request.Header.Set(name, value)
		}
	}
}

type keyAuth struct {
	KeyNames        []string `json:"key_names" need:"yes"`
	HideCredentials bool     `json:"hide_credentials"`
	KeyInQuery      bool     `json:"key_in_query"`
}

var keyAuthDefaults = keyAuth{KeyNames: []string{"apikey"}, KeyInQuery: true}

func newKeyAuth(c *keyAuth, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		refuse := func(text string) {
			x.Header().Set("WWW-Authenticate", "Key")
			x.Fail(http.StatusUnauthorized, text)
		}
		key := ""
		for _, name := range c.KeyNames {
			found := x.Request.Header.Values(name)
			if len(found) == 0 && c.KeyInQuery {
				found = x.Request.URL.Query()[name]
			}
			if len(found) > 1 {
				refuse("Duplicate API key found")
				return
			}
			if len(found) == 1 {
				if key = found[0]; c.HideCredentials {
					x.Request.Header.Del(name)
					editQuery(x, func(n string) bool { return n != name })
				}
				break
			}
		}
		credential := x.Snapshot.Keys[key]
		switch {
		case key == "":
			refuse("No API key found in request")
		case credential == nil:
			refuse("Unauthorized")
		default:
			authenticate(x, credential.Holder(x.Snapshot.Directory), credential.ID)
		}
	}}
}

// editQuery keeps some parameters of the query, as they were written.
func editQuery(x *gateway.Exchange, keep func(name string) bool) {
	pairs := strings.FieldsFunc(x.Request.URL.RawQuery, func(r rune) bool { return r == '&' })
	x.Request.URL.RawQuery = strings.Join(slices.DeleteFunc(pairs, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		decoded, _ := url.QueryUnescape(name)
		return !keep(decoded)
	}), "&")
}

type acl struct {
	Allow            []string `json:"allow" need:"yes"`
	HideGroupsHeader bool     `json:"hide_groups_header"`
}

// newACL lets the members of some groups pass.
func newACL(c *acl, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		if x.Consumer == nil {
			x.Fail(http.StatusUnauthorized, "Unauthorized")
			return
		}
		groups := x.Snapshot.Groups[x.Consumer.ID]
		if !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(c.Allow, g) }) {
			x.Fail(http.StatusForbidden, "You cannot consume this service")
			return
		}
		if !c.HideGroupsHeader && len(groups) > 0 {
			x.Request.Header.Set("X-Consumer-Groups", strings.Join(groups, ", "))
		}
	}}
}
