package plugins

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"kong/declarative"
	"kong/gateway"
)

// fieldSet is the target of a transformer: headers, a query, a form or a JSON object.
type fieldSet interface {
	get(name string) (any, bool)
	set(name string, value any)
	remove(name string)
	append(name string, value any)
}

// edits are a transformer's changes to one fieldSet, each written "name:value".
type edits struct {
	drop, rename, replace, add, extend []string
	types                              [3][]string // of the values of the last three; strings if there are none
}

func (e edits) empty() bool {
	return len(e.drop)+len(e.rename)+len(e.replace)+len(e.add)+len(e.extend) == 0
}

// check wants a value wherever one is needed. Where the schema `crashes`, that of request-transformer, an entry without
// a name is one that it can't report.
func (e edits) check(field string, crashes bool, wrong *declarative.Faults) {
	for kind, entries := range map[string][]string{"rename": e.rename, "replace": e.replace, "add": e.add, "append": e.extend} {
		for _, entry := range entries {
			name, value, found := strings.Cut(entry, ":")
			if name == "" && crashes && field != "headers" {
				panic(declarative.SchemaCrash{})
			}
			if strings.Trim(value, ":") == "" && field != "headers" && crashes || !found || name == "" {
				wrong.Add("config."+kind+"."+field, "invalid value: "+entry+" (expected name:value)")
			}
		}
	}
}

// apply makes the changes in Kong's order; render fills in a value's templates.
func (e edits) apply(b fieldSet, render func(string) string) {
	for _, entry := range e.drop {
		name, _, _ := strings.Cut(entry, ":")
		b.remove(name)
	}
	for _, entry := range e.rename {
		from, to, _ := strings.Cut(entry, ":")
		if value, present := b.get(from); present {
			b.remove(from)
			b.set(render(to), value)
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

// textFields are headers, a query or a form: a name has one or several values.
type textFields struct {
	values map[string][]string
	key    func(name string) string // what a name is kept under
}

func headerFields(header http.Header) textFields { return textFields{header, http.CanonicalHeaderKey} }
func formFields(values url.Values) textFields    { return textFields{values, asWritten} }

func (f textFields) get(name string) (any, bool) {
	values, present := f.values[f.key(name)]
	return values, present
}

func (f textFields) set(name string, value any) {
	several, are := value.([]string)
	if !are {
		several = []string{value.(string)}
	}
	f.values[f.key(name)] = several
}

func (f textFields) remove(name string) { delete(f.values, f.key(name)) }

func (f textFields) append(name string, value any) {
	f.values[f.key(name)] = append(f.values[f.key(name)], value.(string))
}

type jsonFields map[string]any

func (j jsonFields) get(name string) (any, bool) {
	value, present := j[name]
	return value, present && value != nil && value != false // what Lua takes for nothing
}

func (j jsonFields) set(name string, value any) { j[name] = value }
func (j jsonFields) remove(name string)         { delete(j, name) }

func (j jsonFields) append(name string, value any) {
	switch old := j[name].(type) {
	case string:
		j[name] = []any{old, value}
	case []any:
		j[name] = append(old, value)
	default:
		j[name] = []any{value}
	}
}

// editJSON changes an object, and encodes objects and arrays anew as Kong's encoder does: numbers keep 14 digits. What
// is no JSON stays as it is; ok is false for a bare value, on which the plugins fail.
func (e edits) editJSON(body []byte, render func(string) string) (edited []byte, ok bool) {
	var value any
	if json.Unmarshal(body, &value) != nil {
		return body, true
	}
	switch typed := value.(type) {
	case map[string]any:
		e.apply(jsonFields(typed), render)
	case []any:
	default:
		return nil, false
	}
	return encodeLikeCJSON(nil, value), true
}

// encodeLikeCJSON appends a value as lua-cjson encodes it, but for the order of names.
func encodeLikeCJSON(to []byte, value any) []byte {
	switch typed := value.(type) {
	case map[string]any:
		to = append(to, '{')
		for i, name := range slices.Sorted(maps.Keys(typed)) {
			if i > 0 {
				to = append(to, ',')
			}
			to = append(encodeLikeCJSON(to, name), ':')
			to = encodeLikeCJSON(to, typed[name])
		}
		return append(to, '}')
	case []any:
		to = append(to, '[')
		for i, item := range typed {
			if i > 0 {
				to = append(to, ',')
			}
			to = encodeLikeCJSON(to, item)
		}
		return append(to, ']')
	case float64:
		return fmt.Appendf(to, "%.14g", typed)
	case string:
		return append(to, strings.ReplaceAll(string(gateway.EncodeJSON(typed)), "/", `\/`)...)
	}
	return append(to, gateway.EncodeJSON(value)...)
}
