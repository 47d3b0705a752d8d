package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
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

func newJWT(c *jwtAuth, _ *pluginEntity, wrong *faults) handler {
	if c.MaximumExpiration > 0 && !slices.Contains(c.ClaimsToVerify, "exp") {
		wrong.add("config.claims_to_verify", "required field missing: exp, with maximum_expiration")
	}
	challenge := "Bearer"
	if c.Realm != "" {
		challenge = `Bearer realm="` + c.Realm + `"`
	}
	return orAnonymous(c.Anonymous, c.RunOnPreflight, func(x *exchange) func() {
		refuse := func(challenge string, body any) func() {
			return func() { x.exit(http.StatusUnauthorized, body, map[string]string{"WWW-Authenticate": challenge}) }
		}
		tokens := c.tokens(x.request)
		if len(tokens) == 0 {
			return refuse(challenge, message("Unauthorized"))
		}
		credential, wrong := c.verify(tokens, x.snapshot)
		if wrong != nil {
			return refuse(challenge+` error="invalid_token"`, wrong)
		}
		x.authenticate(credential.holder(x.snapshot), credential.Key)
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
func (c *jwtAuth) verify(tokens []string, s *snapshot) (credential *jwtSecret, wrong any) {
	if len(tokens) > 1 {
		return nil, message("Multiple tokens provided")
	}
	token, err := parseToken(tokens[0])
	if err != nil {
		return nil, message("Bad token; " + err.Error())
	}
	key := token.claims[c.KeyClaimName]
	if key == nil {
		key = token.header[c.KeyClaimName]
	}
	switch key {
	case nil:
		return nil, message("No mandatory '" + c.KeyClaimName + "' in claims")
	case "":
		return nil, message("Invalid '" + c.KeyClaimName + "' in claims")
	}
	if credential = s.secrets[fmt.Sprint(key)]; credential == nil {
		return nil, message("No credentials found for given '" + c.KeyClaimName + "'")
	}
	if token.header["alg"] != credential.Algorithm { // or a public key could pass for an HMAC secret
		return nil, message("Invalid algorithm")
	}
	if !token.signedWith(credential, c.SecretIsBase64) {
		return nil, message("Invalid signature")
	}
	if wrong := c.wrongClaims(token.claims, float64(time.Now().Unix())); len(wrong) > 0 {
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

// token is a JSON Web Token (RFC 7519) taken apart.
type token struct {
	signed         string
	header, claims map[string]any
	signature      []byte
}

func parseToken(text string) (*token, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, errors.New("invalid JSON")
	}
	t := &token{signed: parts[0] + "." + parts[1]}
	for i, into := range []*map[string]any{&t.header, &t.claims} {
		decoded, _ := base64.RawURLEncoding.DecodeString(parts[i])
		if json.Unmarshal(decoded, into) != nil || *into == nil {
			return nil, errors.New("invalid JSON")
		}
	}
	if algorithm, _ := t.header["alg"].(string); hashes[algorithm] == 0 {
		return nil, errors.New("invalid alg")
	}
	var err error
	if t.signature, err = base64.RawURLEncoding.DecodeString(parts[2]); err != nil {
		return nil, errors.New("invalid signature")
	}
	return t, nil
}

var hashes = map[string]crypto.Hash{
	"HS256": crypto.SHA256, "HS384": crypto.SHA384, "HS512": crypto.SHA512,
	"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512,
	"ES256": crypto.SHA256,
}

func (t *token) signedWith(credential *jwtSecret, inBase64 bool) bool {
	hash := hashes[credential.Algorithm]
	if strings.HasPrefix(credential.Algorithm, "HS") {
		secret := []byte(credential.Secret)
		if inBase64 {
			secret, _ = base64.StdEncoding.DecodeString(credential.Secret)
		}
		mac := hmac.New(hash.New, secret)
		mac.Write([]byte(t.signed))
		return len(secret) > 0 && hmac.Equal(mac.Sum(nil), t.signature)
	}
	hasher := hash.New()
	hasher.Write([]byte(t.signed))
	digest := hasher.Sum(nil)
	switch public := credential.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, hash, digest, t.signature) == nil
	case *ecdsa.PublicKey: // r and s, 32 bytes each
		if len(t.signature) != 64 {
			return false
		}
		return ecdsa.Verify(public, digest, new(big.Int).SetBytes(t.signature[:32]), new(big.Int).SetBytes(t.signature[32:]))
	}
	return false
}
