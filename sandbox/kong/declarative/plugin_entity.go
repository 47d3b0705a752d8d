package declarative

import (
	"encoding/json"
)

type PluginEntity struct {
	identity
	Name      string          `json:"name"`
	Config    json.RawMessage `json:"config,omitempty"`
	Enabled   bool            `json:"enabled"`
	Protocols []string        `json:"protocols"`
	Route     reference       `json:"route"`
	Handler   any             `json:"-"` // made by pluginKinds
}

func newPlugin() Entity {
	return &PluginEntity{
		Enabled: true, Protocols: []string{"http", "https"},
		Route: reference{to: "routes"},
	}
}

func (p *PluginEntity) naturalKey() string {
	return p.Name + " " + p.Route.Key
}
func (p *PluginEntity) references() []*reference { return []*reference{&p.Route} }
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
