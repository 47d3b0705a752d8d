package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// bag is what a transformer edits: headers, a query, a form or a JSON object.
type bag interface {
	get(name string) (any, bool)
	set(name string, value any)
	remove(name string)
	append(name string, value any)
}

// edits are a transformer's changes to one bag, each written "name:value".
type edits struct {
	drop, rename, replace, add, extend []string
	types                              [3][]string // of the values of the last three; strings if there are none
}

func (e edits) empty() bool {
	return len(e.drop)+len(e.rename)+len(e.replace)+len(e.add)+len(e.extend) == 0
}

// check wants a value wherever one is needed, and a known template.
func (e edits) check(field string, wrong *faults) {
	for kind, entries := range map[string][]string{"rename": e.rename, "replace": e.replace, "add": e.add, "append": e.extend} {
		for _, entry := range entries {
			if name, value, found := strings.Cut(entry, ":"); !found || name == "" || value == "" {
				wrong.add("config."+kind+"."+field, "invalid value: "+entry+" (expected name:value)")
			}
		}
	}
}

// apply makes the changes in Kong's order; render fills in a value's templates.
func (e edits) apply(b bag, render func(string) string) {
	for _, entry := range e.drop {
		name, _, _ := strings.Cut(entry, ":")
		b.remove(name)
	}
	for _, entry := range e.rename {
		from, to, _ := strings.Cut(entry, ":")
		if value, present := b.get(from); present {
			b.remove(from)
			b.set(to, value)
		}
	}
	typed := func(kind, i int, value string) any {
		if i < len(e.types[kind]) {
			return castJSON(value, e.types[kind][i])
		}
		return value
	}
	for i, entry := range e.replace {
		name, value, _ := strings.Cut(entry, ":")
		if _, present := b.get(name); present {
			b.set(name, typed(0, i, render(value)))
		}
	}
	for i, entry := range e.add {
		name, value, _ := strings.Cut(entry, ":")
		if _, present := b.get(name); !present {
			b.set(name, typed(1, i, render(value)))
		}
	}
	for i, entry := range e.extend {
		name, value, _ := strings.Cut(entry, ":")
		b.append(name, typed(2, i, render(value)))
	}
}

func castJSON(value, kind string) any {
	switch kind {
	case "boolean":
		return value == "true"
	case "number":
		if number, err := strconv.ParseFloat(value, 64); err == nil {
			return number
		}
	}
	return value
}

func asWritten(value string) string { return value }

type headerBag http.Header

func (h headerBag) get(name string) (any, bool) {
	values := http.Header(h).Values(name)
	return values, len(values) > 0
}

func (h headerBag) set(name string, value any) {
	if several, are := value.([]string); are {
		h[http.CanonicalHeaderKey(name)] = several
		return
	}
	http.Header(h).Set(name, value.(string))
}

func (h headerBag) remove(name string)            { http.Header(h).Del(name) }
func (h headerBag) append(name string, value any) { http.Header(h).Add(name, value.(string)) }

type formBag url.Values

func (f formBag) get(name string) (any, bool) {
	values, present := f[name]
	return values, present
}

func (f formBag) set(name string, value any) {
	if several, are := value.([]string); are {
		f[name] = several
		return
	}
	url.Values(f).Set(name, value.(string))
}

func (f formBag) remove(name string)            { delete(f, name) }
func (f formBag) append(name string, value any) { url.Values(f).Add(name, value.(string)) }

type jsonBag map[string]any

func (j jsonBag) get(name string) (any, bool) {
	value, present := j[name]
	return value, present && value != nil && value != false // what Lua takes for nothing
}

func (j jsonBag) set(name string, value any) { j[name] = value }
func (j jsonBag) remove(name string)         { delete(j, name) }

func (j jsonBag) append(name string, value any) {
	switch old := j[name].(type) {
	case string:
		j[name] = []any{old, value}
	case []any:
		j[name] = append(old, value)
	default:
		j[name] = []any{value}
	}
}

// editJSON changes an object; anything else stays as it is.
func (e edits) editJSON(body []byte, render func(string) string) []byte {
	var object jsonBag
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	e.apply(object, render)
	return encodeJSON(object)
}

func isJSON(header http.Header) bool {
	return strings.Contains(strings.ToLower(header.Get("Content-Type")), "application/json")
}
