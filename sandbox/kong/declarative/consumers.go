package declarative

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Consumer is a client that its credentials identify.
type Consumer struct {
	identity
	Username string `json:"username,omitempty"`
}

func newConsumer() Entity { return &Consumer{} }

func (c *Consumer) naturalKey() string { return c.Username }
func (c *Consumer) check(f *Faults) {
	f.required("username", c.Username)
}

// owned is the part that credentials and groups of a consumer have in common.
type owned struct {
	identity
	Consumer reference `json:"consumer"`
}

func ofConsumer() owned                       { return owned{Consumer: reference{to: "consumers"}} }
func (o *owned) references() []*reference     { return []*reference{&o.Consumer} }
func (o *owned) Holder(d Directory) *Consumer { return d.Consumers[o.Consumer.Key] }

func (o *owned) check(f *Faults) { f.required("consumer", o.Consumer.Key) }

type keyCredential struct {
	owned
	Key string `json:"key"`
}

func newKeyCredential() Entity { return &keyCredential{owned: ofConsumer()} }

func (k *keyCredential) naturalKey() string { return k.Key }
func (k *keyCredential) check(f *Faults) {
	k.owned.check(f)
	f.required("key", k.Key)
}

type JwtSecret struct {
	owned
	Key          string `json:"key"`
	Algorithm    string `json:"algorithm"`
	Secret       string `json:"secret,omitempty"`
	RSAPublicKey string `json:"rsa_public_key,omitempty"`
	public       crypto.PublicKey
}

// keyKinds are the algorithms and the types of their public keys.
var keyKinds = map[string]string{
	"HS256": "", "HS384": "", "HS512": "",
	"RS256": "*rsa.PublicKey", "RS384": "*rsa.PublicKey", "RS512": "*rsa.PublicKey",
	"PS256": "*rsa.PublicKey", "PS384": "*rsa.PublicKey", "PS512": "*rsa.PublicKey",
	"ES256": "*ecdsa.PublicKey", "ES384": "*ecdsa.PublicKey", "ES512": "*ecdsa.PublicKey",
	"EdDSA": "ed25519.PublicKey",
}

func newJWTSecret() Entity { return &JwtSecret{owned: ofConsumer(), Algorithm: "HS256"} }

func (j *JwtSecret) naturalKey() string { return j.Key }
func (j *JwtSecret) check(f *Faults) {
	j.owned.check(f)
	f.required("key", j.Key)
	f.oneOf("algorithm", j.Algorithm, slices.Sorted(maps.Keys(keyKinds))...)
	if kind, known := keyKinds[j.Algorithm]; !known || kind == "" {
		return // Kong makes up an HMAC secret if there is none; nobody could use it
	}
	if f.required("rsa_public_key", j.RSAPublicKey); j.RSAPublicKey == "" {
		return
	}
	block, _ := pem.Decode([]byte(j.RSAPublicKey))
	if block == nil {
		f.Add("rsa_public_key", "invalid key")
		return
	}
	j.public, _ = x509.ParsePKIXPublicKey(block.Bytes)
	if fmt.Sprintf("%T", j.public) != keyKinds[j.Algorithm] {
		f.Add("rsa_public_key", "invalid key")
	}
}

type group struct {
	owned
	Group string `json:"group"`
}

func newGroup() Entity { return &group{owned: ofConsumer()} }

func (g *group) naturalKey() string { return g.Group + " " + g.Consumer.Key }
func (g *group) check(f *Faults) {
	g.owned.check(f)
	f.required("group", g.Group)
}

// Directory is the consumers of a configuration and how to find them.
type Directory struct {
	Consumers map[string]*Consumer // by id
	Keys      map[string]*keyCredential
	Secrets   map[string]*JwtSecret
	Groups    map[string][]string // by the consumer's id
}

func NewDirectory(d *Document) Directory {
	result := Directory{map[string]*Consumer{}, map[string]*keyCredential{}, map[string]*JwtSecret{}, map[string][]string{}}
	for _, one := range d.Entities["consumers"] {
		c := one.(*Consumer)
		result.Consumers[c.ID] = c
	}
	for _, one := range d.Entities["keyauth_credentials"] {
		result.Keys[one.naturalKey()] = one.(*keyCredential)
	}
	for _, one := range d.Entities["jwt_secrets"] {
		result.Secrets[one.naturalKey()] = one.(*JwtSecret)
	}
	for _, one := range d.Entities["acls"] {
		g := one.(*group)
		result.Groups[g.Consumer.Key] = append(result.Groups[g.Consumer.Key], g.Group)
	}
	return result
}

// VerificationKey is the key that verifies a credential's tokens.
func (j *JwtSecret) VerificationKey() (any, error) {
	if j.public != nil {
		return j.public, nil
	}
	if j.Secret == "" { // Kong generates one
		return nil, errors.New("nobody has the secret")
	}
	return []byte(j.Secret), nil
}
