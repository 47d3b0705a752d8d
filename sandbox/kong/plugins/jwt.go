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
	URIParamNames  []string `json:"uri_param_names"`
	ClaimsToVerify []string `json:"claims_to_verify" oneof:"exp,nbf"`
}

var jwtDefaults = jwtAuth{URIParamNames: []string{"jwt"}}

func newJWT(c *jwtAuth, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Access: func(x *gateway.Exchange) {
		refuse := func(reason string, body any) {
			x.Exit(http.StatusUnauthorized, body, map[string]string{"WWW-Authenticate": "Bearer" + reason})
		}
		tokens := c.tokens(x.Request)
		if len(tokens) == 0 {
			refuse("", gateway.Message("Unauthorized"))
			return
		}
		credential, wrong := c.verify(tokens, x.Snapshot)
		if wrong != nil {
			refuse(` error="invalid_token"`, wrong)
			return
		}
		authenticate(x, credential.Holder(x.Snapshot.Directory), credential.Key)
	}}
}

var bearer = regexp.MustCompile(`[Bb]earer\s+(.+)`)

// tokens are all different ones that a request carries.
func (c *jwtAuth) tokens(r *http.Request) []string {
	var found []string
	query := r.URL.Query()
	for _, name := range c.URIParamNames {
		found = append(found, query[name]...)
	}
	if match := bearer.FindStringSubmatch(r.Header.Get("Authorization")); match != nil {
		found = append(found, match[1])
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
	key := claims["iss"]
	if key == nil {
		key = token.Header["iss"]
	}
	switch key {
	case nil:
		return nil, gateway.Message("No mandatory 'iss' in claims")
	case "":
		return nil, gateway.Message("Invalid 'iss' in claims")
	}
	if credential = s.Secrets[fmt.Sprint(key)]; credential == nil {
		return nil, gateway.Message("No credentials found for given 'iss'")
	}
	if token.Method.Alg() != credential.Algorithm { // or a public key could pass for an HMAC secret
		return nil, gateway.Message("Invalid algorithm")
	}
	verifier, err := credential.VerificationKey()
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
