package gateway

import (
	"strings"

	"kong/declarative"
	"kong/router"
)

// Snapshot is a whole configuration, ready to serve. It is replaced as a whole and, except for the turns of its balancers'
// targets, never changed.
type Snapshot struct {
	hash         string
	entities     map[string][]declarative.Entity
	router       router.Router
	services     map[string]*declarative.Service // by id
	upstreams    map[string]*balancer
	certificates map[string]*declarative.Certificate // by server name
	plugins      []pluginSet                         // in the order of their priority
	declarative.Directory
}

func newSnapshot(d *declarative.Document, kinds Kinds) *Snapshot {
	s := &Snapshot{
		hash: d.Hash, entities: d.Entities, services: map[string]*declarative.Service{},
		upstreams: map[string]*balancer{}, certificates: map[string]*declarative.Certificate{}, Directory: declarative.NewDirectory(d),
	}
	var routes []*declarative.Route
	for _, one := range d.Entities["routes"] {
		routes = append(routes, one.(*declarative.Route))
	}
	s.router = router.New(routes)
	for _, one := range d.Entities["services"] {
		s.services[one.Common().ID] = one.(*declarative.Service)
	}
	byID := map[string]*balancer{}
	for _, one := range d.Entities["upstreams"] {
		u := one.(*declarative.UpstreamEntity)
		byID[u.ID] = &balancer{upstream: u.Name, checks: u.Healthchecks.Active}
		s.upstreams[strings.ToLower(u.Name)] = byID[u.ID]
	}
	for _, one := range d.Entities["targets"] {
		t := one.(*declarative.TargetEntity)
		byID[t.Upstream.Key].Add(t.Target, t.Weight)
	}
	for _, one := range d.Entities["snis"] {
		n := one.(*declarative.Sni)
		s.certificates[strings.ToLower(n.Name)] = d.Index["certificates"][n.Certificate.Key].(*declarative.Certificate)
	}
	s.plugins = orderPlugins(d.Entities["plugins"], kinds)
	return s
}
