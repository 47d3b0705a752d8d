package plugins

import (
	"net/http"
	"net/url"
	"strings"

	"kong/declarative"
)

// edits are a transformer's changes to some fields, each written "name:value".
type edits struct {
	drop, rename, replace, add []string
	rendered                   bool // values have templates
}

func (e edits) empty() bool { return len(e.drop)+len(e.rename)+len(e.replace)+len(e.add) == 0 }

// check reports entries without a value; Kong answers 500 for a query entry without a name.
func (e edits) check(field string, faults *declarative.Faults) {
	for kind, entries := range map[string][]string{"rename": e.rename, "replace": e.replace, "add": e.add} {
		for _, entry := range entries {
			name, value, found := strings.Cut(entry, ":")
			if name == "" && field == "querystring" {
				panic(declarative.SchemaCrash{})
			}
			if strings.Trim(value, ":") == "" && field == "querystring" || !found || name == "" {
				faults.Add("config."+kind+"."+field, "invalid value: "+entry+" (expected name:value)")
			}
		}
	}
}

// apply makes the changes in Kong's order.
func (e edits) apply(f fields) {
	for _, entry := range e.drop {
		name, _, _ := strings.Cut(entry, ":")
		delete(f.values, f.key(name))
	}
	for _, entry := range e.rename {
		from, to := e.pair(entry)
		if values, present := f.values[f.key(from)]; present {
			delete(f.values, f.key(from))
			f.values[f.key(to)] = values
		}
	}
	put := func(entries []string, present bool) {
		for _, entry := range entries {
			name, value := e.pair(entry)
			if _, is := f.values[f.key(name)]; is == present {
				f.values[f.key(name)] = []string{value}
			}
		}
	}
	put(e.replace, true)
	put(e.add, false)
}

func (e edits) pair(entry string) (name, value string) {
	name, value, _ = strings.Cut(entry, ":")
	if e.rendered {
		value = strings.ReplaceAll(value, dollar, "$")
	}
	return name, value
}

// fields are headers or a query: a name has one or several values.
type fields struct {
	values map[string][]string
	key    func(name string) string // what a name is kept under
}

func headerFields(header http.Header) fields { return fields{header, http.CanonicalHeaderKey} }
func queryFields(values url.Values) fields {
	return fields{values, func(name string) string { return name }}
}
