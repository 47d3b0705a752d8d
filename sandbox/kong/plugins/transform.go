package plugins

import (
	"net/http"
	"slices"
	"strings"

	"kong/declarative"
)

// edits are a transformer's changes to headers or to a query, each written "name:value".
type edits struct{ drop, rename, replace, add []string }

func (e edits) empty() bool { return len(e.drop)+len(e.rename)+len(e.replace)+len(e.add) == 0 }

// check wants a value wherever one is needed, of headers also after the name alone. Where the schema `crashes`, that of
// request-transformer, an entry of a query without a name is one that it can't report.
func (e edits) check(field string, crashes bool, wrong *declarative.Faults) {
	crashes = crashes && field != "headers"
	for kind, entries := range map[string][]string{"rename": e.rename, "replace": e.replace, "add": e.add} {
		for _, entry := range entries {
			name, value, found := strings.Cut(entry, ":")
			if name == "" && crashes {
				panic(declarative.SchemaCrash{})
			}
			if strings.Trim(value, ":") == "" && crashes || !found || name == "" {
				wrong.Add("config."+kind+"."+field, "invalid value: "+entry+" (expected name:value)")
			}
		}
	}
}

// apply makes the changes in Kong's order; `key` is what a name is kept under.
func (e edits) apply(fields map[string][]string, key func(string) string) {
	for _, entry := range e.drop {
		name, _, _ := strings.Cut(entry, ":")
		delete(fields, key(name))
	}
	for _, entry := range e.rename {
		from, to, _ := strings.Cut(entry, ":")
		if values, present := fields[key(from)]; present {
			delete(fields, key(from))
			fields[key(to)] = values
		}
	}
	for i, entry := range slices.Concat(e.replace, e.add) {
		name, value, _ := strings.Cut(entry, ":")
		// What is there is replaced; what isn't is added.
		if _, present := fields[key(name)]; present == (i < len(e.replace)) {
			fields[key(name)] = []string{value}
		}
	}
}

func (e edits) applyToHeader(header http.Header) { e.apply(header, http.CanonicalHeaderKey) }
