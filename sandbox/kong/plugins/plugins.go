// Package plugins is Kong's plugins, one function each.
//
// OTLP's messages and Prometheus's text are written by hand: the generated messages and client_golang take 8 s and 3 s to
// compile, the whole stand-in with golang-jwt, redigo and gopher-lua takes 2 s.
package plugins

import (
	"encoding/json"

	"kong/declarative"
	"kong/gateway"
)

// plugin is a kind of plugin: a row of the table.
type plugin struct {
	priority int        // Kong's own; higher runs first
	config   func() any // a struct with Kong's defaults, whose JSON names are the schema
	build    func(config any, of *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler
}

// table is all kinds of plugins by name.
type table map[string]plugin

func (t table) Priority(name string) int { return t[name].priority }

func (t table) Has(name string) bool { _, known := t[name]; return known }

func (t table) Configure(of *declarative.PluginEntity, wrong *declarative.Faults) any {
	kind, known := t[of.Name]
	if !known {
		wrong.Add("name", "plugin '"+of.Name+"' not enabled; add it to the 'plugins' configuration property")
		return gateway.Handler{}
	}
	return kind.configure(of, wrong)
}

var All = table{
	"pre-function":          row(1000000, serverless{}, newServerless),
	"correlation-id":        row(100001, correlationID{HeaderName: "Kong-Request-ID", Generator: "uuid#counter"}, newCorrelationID),
	"bot-detection":         row(2500, botDetection{}, newBotDetection),
	"cors":                  row(2000, corsDefaults, newCORS),
	"jwt":                   row(1450, jwtDefaults, newJWT),
	"key-auth":              row(1250, keyAuthDefaults, newKeyAuth),
	"ip-restriction":        row(990, ipRestriction{}, newIPRestriction),
	"request-size-limiting": row(951, sizeLimit{AllowedPayloadSize: 128, SizeUnit: "megabytes"}, newSizeLimit),
	"acl":                   row(950, acl{}, newACL),
	"rate-limiting":         row(910, rateLimitDefaults, newRateLimit),
	"request-transformer":   row(801, requestTransformer{}, newRequestTransformer),
	"response-transformer":  row(800, responseTransformer{}, newResponseTransformer),
	"opentelemetry":         row(14, openTelemetry{}, newOpenTelemetry),
	"prometheus":            row(13, prometheus{}, newPrometheus),
	"http-log":              row(12, httpLog{}, newHTTPLog),
	"file-log":              row(9, fileLog{}, newFileLog),
	"request-termination":   row(2, termination{StatusCode: 503}, newTermination),
	"post-function":         row(-1000, serverless{}, newServerless),
}

func row[T any](priority int, defaults T, build func(*T, *declarative.PluginEntity, *declarative.Faults) gateway.Handler) plugin {
	encoded, _ := json.Marshal(defaults)
	return plugin{
		priority: priority,
		config: func() any { // no configuration may share a slice with another
			fresh := new(T)
			json.Unmarshal(encoded, fresh)
			return fresh
		},
		build: func(config any, of *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
			return build(config.(*T), of, wrong)
		},
	}
}

func (p plugin) configure(of *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	typed := p.config()
	var inner declarative.Faults
	if of.Config != nil {
		declarative.DecodeStrictly(of.Config, typed, &inner)
	}
	if len(inner) == 0 {
		declarative.CheckFields(typed, &inner)
	}
	for _, f := range inner {
		wrong.Add("config."+f.Field, f.Message)
	}
	return p.build(typed, of, wrong)
}
