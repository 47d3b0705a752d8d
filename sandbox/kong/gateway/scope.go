package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"kong/declarative"
)

// pluginSet is all plugins of one kind. For each request only its route's runs, or else the one for everything.
type pluginSet struct {
	name     string
	priority int
	handlers map[string]*Handler // by the id of a route; empty for everything
}

func orderPlugins(entities []declarative.Entity, kinds Kinds) []pluginSet {
	byName := map[string]*pluginSet{}
	for _, one := range entities {
		p := one.(*declarative.PluginEntity)
		if !p.Enabled {
			continue
		}
		if byName[p.Name] == nil {
			byName[p.Name] = &pluginSet{p.Name, kinds.Priority(p.Name), map[string]*Handler{}}
		}
		h := p.Handler.(Handler)
		byName[p.Name].handlers[p.Route.Key] = &h
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
	if x.Match != nil && s.handlers[x.Match.ID] != nil {
		return s.handlers[x.Match.ID]
	}
	return s.handlers[""]
}

// runRewrite runs the plugins for everything before there is a route.
func (x *Exchange) runRewrite() {
	for _, set := range x.Snapshot.plugins {
		if h := set.handlers[""]; h != nil && h.Rewrite != nil && x.Status == 0 {
			h.Rewrite(x)
		}
	}
}

// runAccess runs every plugin until one responds.
func (x *Exchange) runAccess() {
	for _, h := range x.collected() {
		if h.Access != nil && x.Status == 0 {
			h.Access(x)
		}
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
