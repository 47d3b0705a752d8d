package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

type pluginEntity struct {
	identity
	Name         string          `json:"name"`
	InstanceName string          `json:"instance_name,omitempty"`
	Config       json.RawMessage `json:"config,omitempty"`
	Enabled      bool            `json:"enabled"`
	Protocols    []string        `json:"protocols"`
	Service      reference       `json:"service"`
	Route        reference       `json:"route"`
	Consumer     reference       `json:"consumer"`
	handler      handler
}

func newPlugin() entity {
	return &pluginEntity{
		Enabled: true, Protocols: []string{"http", "https"},
		Service: reference{to: "services"}, Route: reference{to: "routes"}, Consumer: reference{to: "consumers"},
	}
}

func (p *pluginEntity) key() string {
	return strings.Join([]string{p.Name, p.Service.key, p.Route.key, p.Consumer.key}, " ")
}
func (p *pluginEntity) references() []*reference {
	return []*reference{&p.Service, &p.Route, &p.Consumer}
}
func (p *pluginEntity) check(f *faults) {
	for _, protocol := range p.Protocols {
		f.oneOf("protocols", protocol, "http", "https", "grpc", "grpcs")
	}
	kind, known := plugins[p.Name]
	if !known {
		f.add("name", "plugin '"+p.Name+"' not enabled; add it to the 'plugins' configuration property")
		return
	}
	p.handler = kind.configure(p, f)
}

// scope is what a plugin is attached to, by id; empty is everything.
type scope struct{ service, route, consumer string }

func (p *pluginEntity) scope() scope { return scope{p.Service.key, p.Route.key, p.Consumer.key} }

// pluginSet is all plugins of one kind. For each request only the one with the closest scope runs.
type pluginSet struct {
	name     string
	priority int
	handlers map[scope]*handler
}

func orderPlugins(entities []entity) []pluginSet {
	byName := map[string]*pluginSet{}
	for _, one := range entities {
		p := one.(*pluginEntity)
		if !p.Enabled {
			continue
		}
		if byName[p.Name] == nil {
			byName[p.Name] = &pluginSet{p.Name, plugins[p.Name].priority, map[scope]*handler{}}
		}
		byName[p.Name].handlers[p.scope()] = &p.handler
	}
	var result []pluginSet
	for _, set := range byName {
		result = append(result, *set)
	}
	slices.SortFunc(result, func(a, b pluginSet) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), strings.Compare(a.name, b.name))
	})
	return result
}

func (s pluginSet) chosen(x *exchange) *handler {
	var at scope
	if x.match != nil {
		at.service, at.route = x.match.Service.key, x.match.ID
	}
	if x.consumer != nil {
		at.consumer = x.consumer.ID
	}
	for _, candidate := range []scope{
		at,
		{"", at.route, at.consumer},
		{at.service, "", at.consumer},
		{at.service, at.route, ""},
		{"", "", at.consumer},
		{"", at.route, ""},
		{at.service, "", ""},
		{},
	} {
		if found := s.handlers[candidate]; found != nil {
			return found
		}
	}
	return nil
}

// runRewrite runs the plugins for everything before there is a route.
func (x *exchange) runRewrite() {
	for _, set := range x.snapshot.plugins {
		if h := set.handlers[scope{}]; h != nil && h.rewrite != nil && x.status == 0 {
			h.rewrite(x)
		}
	}
}

// runAccess runs every plugin until one answers. It is known only now, after authentication, which of several plugins
// the request's consumer gets; the rest of a request's phases have the same plugins.
func (x *exchange) runAccess() {
	x.accessing = true
	for _, set := range x.snapshot.plugins {
		h := set.chosen(x)
		if h == nil {
			continue
		}
		x.chain = append(x.chain, h)
		if h.access != nil && x.pending == nil {
			h.access(x)
		}
	}
	x.accessing = false
	if x.pending != nil {
		x.answer(x.pending.status, x.pending.body)
	}
}

// collected is the plugins of a request, also of one that was answered before any of them ran.
func (x *exchange) collected() []*handler {
	if x.chain == nil {
		for _, set := range x.snapshot.plugins {
			if h := set.chosen(x); h != nil {
				x.chain = append(x.chain, h)
			}
		}
	}
	return x.chain
}

func (x *exchange) filterHeader(header http.Header) {
	for name, values := range x.told {
		header[name] = values
	}
	for _, h := range x.collected() {
		if h.header != nil {
			h.header(x, header)
		}
	}
}

func (x *exchange) runLog() {
	for _, h := range x.collected() {
		if h.log != nil {
			h.log(x)
		}
	}
}
