package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"kong/declarative"
)

// scope is what a plugin is attached to, by id; empty is everything.
type scope struct{ service, route, consumer string }

func scopeOf(p *declarative.PluginEntity) scope {
	return scope{p.Service.Key, p.Route.Key, p.Consumer.Key}
}

// pluginSet is all plugins of one kind. For each request only the one with the closest scope runs.
type pluginSet struct {
	name     string
	priority int
	handlers map[scope]*Handler
}

func orderPlugins(entities []declarative.Entity, kinds Kinds) []pluginSet {
	byName := map[string]*pluginSet{}
	for _, one := range entities {
		p := one.(*declarative.PluginEntity)
		if !p.Enabled {
			continue
		}
		if byName[p.Name] == nil {
			byName[p.Name] = &pluginSet{p.Name, kinds.Priority(p.Name), map[scope]*Handler{}}
		}
		h := p.Handler.(Handler)
		byName[p.Name].handlers[scopeOf(p)] = &h
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

func (s pluginSet) chosen(x *Exchange) *Handler {
	var at scope
	if x.Match != nil {
		at.service, at.route = x.Match.Service.Key, x.Match.ID
	}
	if x.Consumer != nil {
		at.consumer = x.Consumer.ID
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
func (x *Exchange) runRewrite() {
	for _, set := range x.Snapshot.plugins {
		if h := set.handlers[scope{}]; h != nil && h.Rewrite != nil && x.Status == 0 {
			h.Rewrite(x)
		}
	}
}

// runAccess runs every plugin until one responds. Only now, after authentication, is it known which of several plugins
// the request's consumer gets; the rest of a request's phases have the same plugins.
func (x *Exchange) runAccess() {
	x.accessing = true
	for _, set := range x.Snapshot.plugins {
		h := set.chosen(x)
		if h == nil {
			continue
		}
		x.chain = append(x.chain, h)
		if h.Access != nil && x.pending == nil {
			h.Access(x)
		}
	}
	x.accessing = false
	if x.pending != nil {
		x.Answer(x.pending.status, x.pending.body)
	}
}

// collected is the plugins of a request, also of one that was answered before any of them ran.
func (x *Exchange) collected() []*Handler {
	if x.chain == nil {
		for _, set := range x.Snapshot.plugins {
			if h := set.chosen(x); h != nil {
				x.chain = append(x.chain, h)
			}
		}
	}
	return x.chain
}

func (x *Exchange) filterHeader(header http.Header) {
	for name, values := range x.Told {
		header[name] = values
	}
	for _, h := range x.collected() {
		if h.Header != nil {
			h.Header(x, header)
		}
	}
}

func (x *Exchange) runLog() {
	for _, h := range x.collected() {
		if h.Log != nil {
			h.Log(x)
		}
	}
}
