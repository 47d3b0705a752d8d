package plugins

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong/declarative"
	"kong/gateway"
)

type jwtAuth struct {
	URIParamNames     []string `json:"uri_param_names"`
	CookieNames       []string `json:"cookie_names"`
	HeaderNames       []string `json:"header_names"`
	KeyClaimName      string   `json:"key_claim_name"`
	SecretIsBase64    bool     `json:"secret_is_base64"`
	ClaimsToVerify    []string `json:"claims_to_verify" oneof:"exp,nbf"`
	Anonymous         string   `json:"anonymous"`
	RunOnPreflight    bool     `json:"run_on_preflight"`
	MaximumExpiration float64  `json:"maximum_expiration" range:"0,31536000"`
	Realm             string   `json:"realm"`
}

var jwtDefaults = jwtAuth{
	URIParamNames: []string{"jwt"}, CookieNames: []string{}, HeaderNames: []string{"authorization"}, KeyClaimName: "iss",
	RunOnPreflight: true,
}

func newJWT(c *jwtAuth, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	if c.MaximumExpiration > 0 && !slices.Contains(c.ClaimsToVerify, "exp") {
		wrong.Add("config.claims_to_verify", "required field missing: exp, with maximum_expiration")
	}
	return orAnonymous(c.Anonymous, c.RunOnPreflight, func(x *gateway.Exchange) func() {
		refuse := func(reason string, body any) func() {
			headers := map[string]string{"WWW-Authenticate": challenge("Bearer", c.Realm) + reason}
			return func() { x.Exit(http.StatusUnauthorized, body, headers) }
		}
		tokens := c.tokens(x.Request)
		if len(tokens) == 0 {
			return refuse("", gateway.Message("Unauthorized"))
		}
		credential, wrong := c.verify(tokens, x.Snapshot)
		if wrong != nil {
			return refuse(` error="invalid_token"`, wrong)
		}
		authenticate(x, credential.Holder(x.Snapshot.Directory), credential.Key)
		return nil
	})
}

var bearer = regexp.MustCompile(`[Bb]earer\s+(.+)`)

// tokens are all different ones that a request carries.
func (c *jwtAuth) tokens(r *http.Request) []string {
	var found []string
	query := r.URL.Query()
	for _, name := range c.URIParamNames {
		found = append(found, query[name]...)
	}
	for _, name := range c.CookieNames {
		if cookie, err := r.Cookie(name); err == nil {
			found = append(found, cookie.Value)
		}
	}
	for _, name := range c.HeaderNames {
		if match := bearer.FindStringSubmatch(r.Header.Get(name)); match != nil {
			found = append(found, match[1])
		}
	}
	slices.Sort(found)
	return slices.DeleteFunc(slices.Compact(found), func(token string) bool { return token == "" })
}

// verify returns the credential that a token was signed with, or the body of the answer that refuses it.
func (c *jwtAuth) verify(tokens []string, s *gateway.Snapshot) (credential *declarative.JwtSecret, wrong any) {
	if len(tokens) > 1 {
		return nil, gateway.Message("Multiple tokens provided")
	}
	token, signed, signature, err := parseToken(tokens[0])
	if err != nil {
		return nil, gateway.Message("Bad token; " + err.Error())
	}
	claims := token.Claims.(jwt.MapClaims)
	key := claims[c.KeyClaimName]
	if key == nil {
		key = token.Header[c.KeyClaimName]
	}
	switch key {
	case nil:
		return nil, gateway.Message("No mandatory '" + c.KeyClaimName + "' in claims")
	case "":
		return nil, gateway.Message("Invalid '" + c.KeyClaimName + "' in claims")
	}
	if credential = s.Secrets[fmt.Sprint(key)]; credential == nil {
		return nil, gateway.Message("No credentials found for given '" + c.KeyClaimName + "'")
	}
	if token.Method.Alg() != credential.Algorithm { // or a public key could pass for an HMAC secret
		return nil, gateway.Message("Invalid algorithm")
	}
	verifier, err := credential.VerificationKey(c.SecretIsBase64)
	if err != nil || token.Method.Verify(signed, signature, verifier) != nil {
		return nil, gateway.Message("Invalid signature")
	}
	if wrong := c.wrongClaims(claims, float64(time.Now().Unix())); len(wrong) > 0 {
		return nil, wrong
	}
	return credential, nil
}

func (c *jwtAuth) wrongClaims(claims map[string]any, now float64) map[string]string {
	wrong := map[string]string{}
	for _, name := range c.ClaimsToVerify {
		value, is := claims[name].(float64)
		switch {
		case !is:
			wrong[name] = "must be a number"
		case name == "exp" && value <= now:
			wrong[name] = "token expired"
		case name == "nbf" && value > now:
			wrong[name] = "token not valid yet"
		}
	}
	if expires, _ := claims["exp"].(float64); len(wrong) == 0 && c.MaximumExpiration > 0 && expires-now > c.MaximumExpiration {
		wrong["exp"] = "exceeds maximum allowed expiration"
	}
	return wrong
}

// parseToken reads a token without verifying it; the error is Kong's.
func parseToken(text string) (token *jwt.Token, signed string, signature []byte, err error) {
	parts := strings.SplitN(text, ".", 3)
	if len(parts) < 3 {
		return nil, "", nil, errors.New("invalid JSON")
	}
	signed = parts[0] + "." + parts[1]
	parser := jwt.NewParser(jwt.WithPaddingAllowed())
	token, _, err = parser.ParseUnverified(signed+".", jwt.MapClaims{})
	switch {
	case errors.Is(err, jwt.ErrTokenUnverifiable), err == nil && token.Method == jwt.SigningMethodNone:
		return nil, "", nil, errors.New("invalid alg")
	case err != nil:
		return nil, "", nil, errors.New("invalid JSON")
	}
	if signature, err = parser.DecodeSegment(parts[2]); err != nil {
		return nil, "", nil, errors.New("invalid signature")
	}
	return token, signed, signature, nil
}
