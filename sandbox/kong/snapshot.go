package main

import "strings"

// snapshot is a whole configuration, ready to serve. It is replaced as a whole and, but for the turns of its balancers'
// targets, never changed.
type snapshot struct {
	hash         string
	entities     map[string][]entity
	router       router
	services     map[string]*service // by id
	upstreams    map[string]*balancer
	certificates map[string]*certificate // by server name
	plugins      []pluginSet             // in the order of their priority
	directory
}

func newSnapshot(hash string, d *document) *snapshot {
	s := &snapshot{
		hash: hash, entities: d.entities, services: map[string]*service{},
		upstreams: map[string]*balancer{}, certificates: map[string]*certificate{}, directory: newDirectory(d),
	}
	var routes []*route
	for _, one := range d.entities["routes"] {
		routes = append(routes, one.(*route))
	}
	s.router = newRouter(routes)
	for _, one := range d.entities["services"] {
		s.services[one.common().ID] = one.(*service)
	}
	byID := map[string]*balancer{}
	for _, one := range d.entities["upstreams"] {
		u := one.(*upstreamEntity)
		byID[u.ID] = &balancer{upstream: u.Name}
		s.upstreams[strings.ToLower(u.Name)] = byID[u.ID]
	}
	for _, one := range d.entities["targets"] {
		t := one.(*targetEntity)
		byID[t.Upstream.key].add(t.Target, t.Weight)
	}
	for _, one := range d.entities["snis"] {
		n := one.(*sni)
		s.certificates[strings.ToLower(n.Name)] = d.index["certificates"][n.Certificate.key].(*certificate)
	}
	s.plugins = orderPlugins(d.entities["plugins"])
	return s
}
