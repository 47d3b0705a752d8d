package main

import (
	"encoding/json"
	"net/http"
)

// plugin is a kind of plugin: a row of the table below.
type plugin struct {
	priority int        // Kong's own; higher runs first
	config   func() any // a struct with Kong's defaults, whose JSON names are the schema
	build    func(config any, of *pluginEntity, wrong *faults) handler
}

// handler is a plugin as configured. Any function may be missing.
type handler struct {
	rewrite func(*exchange)              // before the route is looked up; plugins for everything only
	access  func(*exchange)              // before the upstream; the first answer ends the exchange
	header  func(*exchange, http.Header) // of the response, whoever made it
	// body changes a response in JSON, which is held back for it; nil breaks the connection off.
	body func(*exchange, []byte) []byte
	// newBodyFilter changes a response's body as it passes.
	newBodyFilter func(*exchange, http.Header) bodyFilter
	log           func(*exchange) // when the response is out
}

// bodyFilter gets each part of a body, then an empty last one.
type bodyFilter func(chunk []byte, last bool) []byte

var plugins = map[string]plugin{
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
	"redirect":              row(779, redirect{StatusCode: 301}, newRedirect),
	"opentelemetry":         row(14, openTelemetryDefaults, newOpenTelemetry),
	"prometheus":            row(13, prometheus{}, newPrometheus),
	"http-log":              row(12, httpLogDefaults, newHTTPLog),
	"file-log":              row(9, fileLog{}, newFileLog),
	"request-termination":   row(2, termination{StatusCode: 503}, newTermination),
	"post-function":         row(-1000, serverless{}, newServerless),
}

func row[T any](priority int, defaults T, build func(*T, *pluginEntity, *faults) handler) plugin {
	encoded, _ := json.Marshal(defaults)
	return plugin{
		priority: priority,
		config: func() any { // no configuration may share a slice with another
			fresh := new(T)
			json.Unmarshal(encoded, fresh)
			return fresh
		},
		build: func(config any, of *pluginEntity, wrong *faults) handler { return build(config.(*T), of, wrong) },
	}
}

func (p plugin) configure(of *pluginEntity, wrong *faults) handler {
	typed := p.config()
	var inner faults
	if of.Config != nil {
		decodeStrictly(of.Config, typed, &inner)
	}
	if len(inner) == 0 {
		checkFields(typed, &inner)
	}
	for _, f := range inner {
		wrong.add("config."+f.Field, f.Message)
	}
	return p.build(typed, of, wrong)
}
