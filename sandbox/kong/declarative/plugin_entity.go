package declarative

import (
	"encoding/json"
	"strings"
)

type PluginEntity struct {
	identity
	Name         string          `json:"name"`
	InstanceName string          `json:"instance_name,omitempty"`
	Config       json.RawMessage `json:"config,omitempty"`
	Enabled      bool            `json:"enabled"`
	Protocols    []string        `json:"protocols"`
	Service      reference       `json:"service"`
	Route        reference       `json:"route"`
	Consumer     reference       `json:"consumer"`
	Handler      any             `json:"-"` // made by pluginKinds
}

func newPlugin() Entity {
	return &PluginEntity{
		Enabled: true, Protocols: []string{"http", "https"},
		Service: reference{to: "services"}, Route: reference{to: "routes"}, Consumer: reference{to: "consumers"},
	}
}

func (p *PluginEntity) naturalKey() string {
	return strings.Join([]string{p.Name, p.Service.Key, p.Route.Key, p.Consumer.Key}, " ")
}
func (p *PluginEntity) references() []*reference {
	return []*reference{&p.Service, &p.Route, &p.Consumer}
}
func (p *PluginEntity) check(f *Faults) {
	for _, protocol := range p.Protocols {
		f.oneOf("protocols", protocol, "http", "https", "grpc", "grpcs")
	}
}

// PluginKinds turns a plugin's configuration into its handler, and adds the errors.
type PluginKinds interface {
	Configure(of *PluginEntity, wrong *Faults) any
}

// SchemaCrash is an error in Kong's own schema: its admin API answers 500 and names no entity.
type SchemaCrash struct{}
