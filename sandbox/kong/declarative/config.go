// Package declarative loads Kong's declarative configuration: entities with their defaults, checks and references.
package declarative

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// collection is a kind of entity: its name in documents and in the admin API, and what may be nested in it.
type collection struct {
	name, entity string
	new          func() Entity
	children     []string
	secret       bool // its entities' natural keys are credentials, or too long to show
}

var collections = []collection{
	{"services", "service", newService, []string{"routes"}, false},
	{"routes", "route", newRoute, []string{"plugins"}, false},
	{"upstreams", "upstream", newUpstream, []string{"targets"}, false},
	{"targets", "target", newTarget, nil, false},
	{"certificates", "certificate", newCertificate, []string{"snis"}, true},
	{"snis", "sni", newSNI, nil, false},
	{"consumers", "consumer", newConsumer, []string{"keyauth_credentials", "jwt_secrets", "acls"}, false},
	{"keyauth_credentials", "keyauth_credential", newKeyCredential, nil, true},
	{"jwt_secrets", "jwt_secret", newJWTSecret, nil, true},
	{"acls", "acl", newGroup, nil, false},
	{"plugins", "plugin", newPlugin, nil, false},
}

func collectionNamed(name string) (collection, bool) {
	index := slices.IndexFunc(collections, func(c collection) bool { return c.name == name })
	if index < 0 {
		return collection{}, false
	}
	return collections[index], true
}

// refusal is Kong's response to an invalid document.
type refusal struct {
	Code      int               `json:"code"`
	Name      string            `json:"name"`
	Message   string            `json:"message"`
	Fields    map[string]string `json:"fields"`
	Flattened []flattened       `json:"flattened_errors"`
}

type flattened struct {
	Type   string   `json:"entity_type"`
	Name   string   `json:"entity_name,omitempty"`
	ID     string   `json:"entity_id,omitempty"`
	Tags   []string `json:"entity_tags,omitempty"`
	Errors Faults   `json:"errors"`
}

// Document is a declarative document with nested entities flattened.
type Document struct {
	Hash     string
	kinds    PluginKinds
	Entities map[string][]Entity          // by collection, in the document's order
	Index    map[string]map[string]Entity // by collection, then id or natural key
	fields   map[string]string            // what is wrong outside of any entity
	errors   []flattened
}

// Load reads a document; the refusal lists all of its errors.
func Load(body []byte, kinds PluginKinds) (*Document, *refusal) {
	d := &Document{kinds: kinds, Entities: map[string][]Entity{}, Index: map[string]map[string]Entity{}, fields: map[string]string{}}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		d.fields["config"] = "expected a JSON object: " + err.Error()
	}
	for _, name := range slices.Sorted(maps.Keys(top)) {
		switch kind, known := collectionNamed(name); {
		case known:
			d.Add(kind, top[name], reference{})
		case name == "_format_version":
			if string(top[name]) != `"3.0"` {
				d.fields[name] = `expected "3.0"`
			}
		case name != "_transform":
			d.fields[name] = "unknown field (this stand-in for Kong has none of that name)"
		}
	}
	d.resolve()
	if len(d.fields)+len(d.errors) == 0 {
		sum := md5.Sum(body)
		d.Hash = hex.EncodeToString(sum[:])
		return d, nil
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(d.fields)) {
		words = append(words, fmt.Sprintf("%s=%q", name, d.fields[name]))
	}
	for _, one := range d.errors {
		for _, f := range one.Errors {
			words = append(words, fmt.Sprintf("%s %s: %s=%q", one.Type, one.Name, f.Field, f.Message))
		}
	}
	return nil, &refusal{
		14, "invalid declarative configuration", "declarative config is invalid: {" + strings.Join(words, ", ") + "}",
		d.fields, append([]flattened{}, d.errors...),
	}
}

// Add reads the entities of one collection, and those nested in them, which belong to the entity around them.
func (d *Document) Add(kind collection, list json.RawMessage, owner reference) {
	var items []map[string]json.RawMessage
	if err := json.Unmarshal(list, &items); err != nil {
		d.fields[kind.name] = "expected an array of objects"
		return
	}
	for _, item := range items {
		nested := map[string]json.RawMessage{}
		for _, child := range kind.children {
			if value, present := item[child]; present {
				nested[child] = value
				delete(item, child)
			}
		}
		one := kind.new()
		var wrong Faults
		content, _ := json.Marshal(item)
		DecodeStrictly(content, one, &wrong)
		for _, r := range one.references() {
			if r.to == owner.to {
				r.Key = owner.Key
			}
		}
		if one.Common().ID == "" {
			one.Common().ID = derivedID(kind.name, one.naturalKey(), len(d.Entities[kind.name]))
		}
		if len(wrong) == 0 { // a value of the wrong type would be reported twice
			one.check(&wrong)
			if p, is := one.(*PluginEntity); is {
				p.Handler = d.kinds.Configure(p, &wrong)
			}
		}
		d.report(kind, one, wrong)
		d.Entities[kind.name] = append(d.Entities[kind.name], one)
		for child, value := range nested {
			childKind, _ := collectionNamed(child)
			d.Add(childKind, value, reference{to: kind.name, Key: one.Common().ID})
		}
	}
}

// resolve turns every reference into an id, and reports duplicates.
func (d *Document) resolve() {
	for _, kind := range collections {
		d.Index[kind.name] = map[string]Entity{}
		for _, one := range d.Entities[kind.name] {
			var wrong Faults
			for _, r := range one.references() {
				if r.Key == "" {
					continue
				}
				if referred := d.Find(*r); referred != nil {
					r.Key = referred.Common().ID
				} else {
					wrong.Add(strings.TrimSuffix(r.to, "s"), "the foreign key '"+r.Key+"' does not reference an existing '"+r.to+"' entity.")
				}
			}
			known := d.Index[kind.name]
			if known[one.Common().ID] != nil || known[one.naturalKey()] != nil {
				wrong.Add("@entity", "uniqueness violation: '"+kind.name+"' entity '"+kind.label(one)+"' already declared")
			}
			known[one.Common().ID] = one
			if one.naturalKey() != "" {
				known[one.naturalKey()] = one
			}
			d.report(kind, one, wrong)
		}
	}
}

// Find looks an entity up in the document itself, so the order of collections doesn't matter.
func (d *Document) Find(r reference) Entity {
	for _, one := range d.Entities[r.to] {
		if one.Common().ID == r.Key || one.naturalKey() == r.Key {
			return one
		}
	}
	return nil
}

func (d *Document) report(kind collection, one Entity, wrong Faults) {
	if len(wrong) > 0 {
		d.errors = append(d.errors, flattened{kind.entity, kind.label(one), one.Common().ID, one.Common().Tags, wrong})
	}
}

// label is the name of an entity in messages.
func (c collection) label(one Entity) string {
	if p, is := one.(*PluginEntity); is {
		return p.Name
	}
	if c.secret {
		return ""
	}
	return one.naturalKey()
}

// DecodeStrictly refuses fields that `into` doesn't have.
func DecodeStrictly(content []byte, into any, wrong *Faults) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		return
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		wrong.Add(mismatch.Field, "expected a value of type "+mismatch.Type.String())
	} else if field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		wrong.Add(strings.Trim(field, `"`), "unknown field (this stand-in for Kong has none of that name)")
	} else {
		wrong.Add("@entity", err.Error())
	}
}

// derivedID is the same for the same entity in every document, as Kong's own are.
func derivedID(collection, key string, position int) string {
	sum := sha1.Sum([]byte(collection + "\x00" + cmp.Or(key, fmt.Sprint(position))))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}
