package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
)

// consumer is a client that the gateway can know by its credentials.
type consumer struct {
	identity
	Username string `json:"username,omitempty"`
	CustomID string `json:"custom_id,omitempty"`
}

func newConsumer() entity { return &consumer{} }

func (c *consumer) key() string              { return c.Username }
func (c *consumer) references() []*reference { return nil }
func (c *consumer) check(f *faults) {
	if c.Username == "" && c.CustomID == "" {
		f.add("@entity", "at least one of these fields must be non-empty: 'custom_id', 'username'")
	}
}

// owned is what belongs to a consumer.
type owned struct {
	identity
	Consumer reference `json:"consumer"`
}

func ofConsumer() owned                       { return owned{Consumer: reference{to: "consumers"}} }
func (o *owned) references() []*reference     { return []*reference{&o.Consumer} }
func (o *owned) holder(s *snapshot) *consumer { return s.consumers[o.Consumer.key] }

func (o *owned) check(f *faults) { f.required("consumer", o.Consumer.key) }

type keyCredential struct {
	owned
	Key string `json:"key"`
}

func newKeyCredential() entity { return &keyCredential{owned: ofConsumer()} }

func (k *keyCredential) key() string { return k.Key }
func (k *keyCredential) check(f *faults) {
	k.owned.check(f)
	f.required("key", k.Key)
}

type jwtSecret struct {
	owned
	Key          string `json:"key"`
	Algorithm    string `json:"algorithm"`
	Secret       string `json:"secret,omitempty"`
	RSAPublicKey string `json:"rsa_public_key,omitempty"`
	public       crypto.PublicKey
}

func newJWTSecret() entity { return &jwtSecret{owned: ofConsumer(), Algorithm: "HS256"} }

func (j *jwtSecret) key() string { return j.Key }
func (j *jwtSecret) check(f *faults) {
	j.owned.check(f)
	f.required("key", j.Key)
	f.oneOf("algorithm", j.Algorithm, "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256")
	if strings.HasPrefix(j.Algorithm, "HS") {
		return // Kong makes up a secret if there is none; nobody could use it
	}
	if f.required("rsa_public_key", j.RSAPublicKey); j.RSAPublicKey == "" {
		return
	}
	block, _ := pem.Decode([]byte(j.RSAPublicKey))
	if block == nil {
		f.add("rsa_public_key", "invalid key")
		return
	}
	j.public, _ = x509.ParsePKIXPublicKey(block.Bytes)
	_, isRSA := j.public.(*rsa.PublicKey)
	_, isEC := j.public.(*ecdsa.PublicKey)
	if !isRSA && !isEC {
		f.add("rsa_public_key", "invalid key")
	}
}

type group struct {
	owned
	Group string `json:"group"`
}

func newGroup() entity { return &group{owned: ofConsumer()} }

func (g *group) key() string { return g.Group + " " + g.Consumer.key }
func (g *group) check(f *faults) {
	g.owned.check(f)
	f.required("group", g.Group)
}

// directory is the consumers of a configuration and how to find them.
type directory struct {
	consumers map[string]*consumer // by id and by username
	keys      map[string]*keyCredential
	secrets   map[string]*jwtSecret
	groups    map[string][]string // by the consumer's id
}

func newDirectory(d *document) directory {
	result := directory{map[string]*consumer{}, map[string]*keyCredential{}, map[string]*jwtSecret{}, map[string][]string{}}
	for _, one := range d.entities["consumers"] {
		c := one.(*consumer)
		result.consumers[c.ID] = c
		if c.Username != "" {
			result.consumers[c.Username] = c
		}
	}
	for _, one := range d.entities["keyauth_credentials"] {
		result.keys[one.key()] = one.(*keyCredential)
	}
	for _, one := range d.entities["jwt_secrets"] {
		result.secrets[one.key()] = one.(*jwtSecret)
	}
	for _, one := range d.entities["acls"] {
		g := one.(*group)
		result.groups[g.Consumer.key] = append(result.groups[g.Consumer.key], g.Group)
	}
	return result
}
