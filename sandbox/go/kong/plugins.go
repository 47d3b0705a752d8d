package main

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// plugin is a kind of plugin: a row of the table below.
type plugin struct {
	priority int        // Kong's own; higher runs first
	config   func() any // a struct with Kong's defaults, whose JSON names are the schema
	build    func(config any, wrong *faults) handler
}

// handler is a plugin as configured. Either function may be missing.
type handler struct {
	access func(*exchange)              // before the upstream; an answer ends the exchange
	header func(*exchange, http.Header) // of the response, whoever made it
}

var plugins = map[string]plugin{
	"correlation-id":      {100001, defaults(correlationID{HeaderName: "Kong-Request-ID", Generator: "uuid#counter"}), newCorrelationID},
	"request-termination": {2, defaults(termination{StatusCode: 503}), newTermination},
}

func defaults[T any](config T) func() any {
	return func() any { fresh := config; return &fresh }
}

func (p plugin) configure(config json.RawMessage, wrong *faults) handler {
	typed := p.config()
	if config != nil {
		var inner faults
		decodeStrictly(config, typed, &inner)
		for _, f := range inner {
			wrong.add("config."+f.Field, f.Message)
		}
	}
	return p.build(typed, wrong)
}

// schema describes a plugin's configuration as Kong's admin API does; the controller fills in defaults from it.
func (p plugin) schema() map[string]any {
	config := reflect.ValueOf(p.config()).Elem()
	described := []any{}
	for i := range config.NumField() {
		field := map[string]any{"required": false}
		switch value := config.Field(i); value.Kind() {
		case reflect.Bool:
			field["type"], field["default"] = "boolean", value.Bool()
		case reflect.Int:
			field["type"], field["default"] = "integer", value.Int()
		case reflect.String:
			if field["type"] = "string"; value.String() != "" {
				field["default"] = value.String()
			}
		}
		described = append(described, map[string]any{jsonName(config.Type().Field(i)): field})
	}
	return map[string]any{"fields": []any{
		map[string]any{"protocols": map[string]any{
			"type": "set", "default": []string{"grpc", "grpcs", "http", "https"}, "elements": map[string]any{"type": "string"},
		}},
		map[string]any{"config": map[string]any{"type": "record", "required": true, "fields": described}},
	}}
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// scope is what a plugin is attached to, by id; empty is everything.
type scope struct{ service, route string }

// pluginSet is all plugins of one kind. For each request only the one with the closest scope runs.
type pluginSet struct {
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
			byName[p.Name] = &pluginSet{plugins[p.Name].priority, map[scope]*handler{}}
		}
		byName[p.Name].handlers[p.scope()] = &p.handler
	}
	var result []pluginSet
	for _, set := range byName {
		result = append(result, *set)
	}
	slices.SortFunc(result, func(a, b pluginSet) int { return b.priority - a.priority })
	return result
}

func (s pluginSet) chosen(x *exchange) *handler {
	var at scope
	if x.match != nil {
		at = scope{x.match.Service.key, x.match.ID}
	}
	for _, candidate := range []scope{at, {"", at.route}, {at.service, ""}, {}} {
		if found := s.handlers[candidate]; found != nil {
			return found
		}
	}
	return nil
}
