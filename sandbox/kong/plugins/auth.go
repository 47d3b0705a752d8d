package plugins

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kong/declarative"
	"kong/gateway"
)

// authenticate sets the consumer for later plugins and for the service. Without a credential it is the
// anonymous one.
func authenticate(x *gateway.Exchange, c *declarative.Consumer, credential string) {
	x.Consumer, x.Credential = c, credential
	anonymous := ""
	if credential == "" {
		anonymous = "true"
	}
	for name, value := range map[string]string{
		"X-Consumer-ID":           c.ID,
		"X-Consumer-Custom-ID":    c.CustomID,
		"X-Consumer-Username":     c.Username,
		"X-Credential-Identifier": credential,
		"X-Anonymous-Consumer":    anonymous,
	} {
		x.Request.Header.Del(name) // a client can't claim an identity
		if value != "" {
			x.Request.Header.Set(name, value)
		}
	}
}

// orAnonymous runs an authentication. With an anonymous consumer it is one of several that may succeed, and the last
// to fail lets the request pass as that consumer; without, it has to succeed.
func orAnonymous(anonymous string, runOnPreflight bool, attempt func(*gateway.Exchange) (refuse func())) gateway.Handler {
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		if !runOnPreflight && x.Request.Method == http.MethodOptions {
			return
		}
		if anonymous == "" {
			if refuse := attempt(x); refuse != nil {
				refuse()
			}
			return
		}
		if x.Credential != "" || attempt(x) == nil {
			return
		}
		if nobody := x.Snapshot.Consumers[anonymous]; nobody != nil {
			authenticate(x, nobody, "")
			return
		}
		x.Exit(http.StatusInternalServerError, gateway.Message("An unexpected error occurred"), nil)
	}}
}

// challenge is the header by which a 401 tells the kind of credential.
func challenge(scheme, realm string) string {
	if realm == "" {
		return scheme
	}
	return scheme + ` realm="` + realm + `"`
}

type keyAuth struct {
	KeyNames        []string `json:"key_names" need:"yes"`
	HideCredentials bool     `json:"hide_credentials"`
	Anonymous       string   `json:"anonymous"`
	KeyInHeader     bool     `json:"key_in_header"`
	KeyInQuery      bool     `json:"key_in_query"`
	KeyInBody       bool     `json:"key_in_body"`
	RunOnPreflight  bool     `json:"run_on_preflight"`
	Realm           string   `json:"realm"`
}

var keyAuthDefaults = keyAuth{KeyNames: []string{"apikey"}, KeyInHeader: true, KeyInQuery: true, RunOnPreflight: true}

func newKeyAuth(c *keyAuth, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	if c.KeyInBody {
		wrong.Add("config.key_in_body", "this stand-in for Kong doesn't look for keys in bodies")
	}
	return orAnonymous(c.Anonymous, c.RunOnPreflight, func(x *gateway.Exchange) func() {
		refuse := func(text string) func() {
			return func() {
				x.Header().Set("WWW-Authenticate", challenge("Key", c.Realm))
				x.Fail(http.StatusUnauthorized, text)
			}
		}
		key := ""
		for _, name := range c.KeyNames {
			var found []string
			if c.KeyInHeader {
				found = x.Request.Header.Values(name)
			}
			if len(found) == 0 && c.KeyInQuery {
				found = x.Request.URL.Query()[name]
			}
			if len(found) > 1 {
				return refuse("Duplicate API key found")
			}
			if len(found) == 1 {
				if key = found[0]; c.HideCredentials {
					x.Request.Header.Del(name)
					editQuery(x, func(n string) bool { return n != name })
				}
				break
			}
		}
		if key == "" {
			return refuse("No API key found in request")
		}
		credential := x.Snapshot.Keys[key]
		if credential == nil {
			return refuse("Unauthorized")
		}
		authenticate(x, credential.Holder(x.Snapshot.Directory), credential.ID)
		return nil
	})
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
	Allow            []string `json:"allow"`
	Deny             []string `json:"deny"`
	HideGroupsHeader bool     `json:"hide_groups_header"`
}

// newACL lets the members of some groups pass, or all others.
func newACL(c *acl, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	if (len(c.Allow) == 0) == (len(c.Deny) == 0) {
		wrong.Add("config", "exactly one of these fields must be non-empty: 'allow', 'deny'")
	}
	named := slices.Concat(c.Allow, c.Deny)
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		if x.Consumer == nil {
			x.Fail(http.StatusUnauthorized, "Unauthorized")
			return
		}
		groups := x.Snapshot.Groups[x.Consumer.ID]
		listed := slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(named, g) })
		if listed != (len(c.Allow) > 0) {
			x.Fail(http.StatusForbidden, "You cannot consume this service")
			return
		}
		if !c.HideGroupsHeader && len(groups) > 0 {
			x.Request.Header.Set("X-Consumer-Groups", strings.Join(groups, ", "))
		}
	}}
}
