package main

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// try is one attempt to reach a service.
type try struct {
	Start   int64  `json:"balancer_start"` // milliseconds since 1970
	Latency int64  `json:"balancer_latency"`
	IP      string `json:"ip"`
	Port    int    `json:"port"`
	State   string `json:"state,omitempty"` // "failed", if it did
}

func newTry(address string, start time.Time, failed bool) try {
	host, text, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(text)
	state := ""
	if failed {
		state = "failed"
	}
	return try{start.UnixMilli(), time.Since(start).Milliseconds(), host, number, state}
}

// latencies are what log plugins and metrics tell of an exchange, in milliseconds.
type latencies struct {
	Request int64 `json:"request"` // from the first byte to the last
	Kong    int64 `json:"kong"`
	Proxy   int64 `json:"proxy"` // until the service's answer began; -1 if none did
}

func (x *exchange) latencies() latencies {
	total := time.Since(x.start).Milliseconds()
	if x.upstreamStatus == 0 {
		return latencies{total, total, -1}
	}
	return latencies{total, x.sent.Sub(x.start).Milliseconds(), x.waited.Milliseconds()}
}

// source says who answered.
func (x *exchange) source() string {
	if x.upstreamStatus != 0 {
		return "upstream"
	}
	return "kong"
}

// entry is an exchange as Kong's log plugins write it.
func (x *exchange) entry() map[string]any {
	query := map[string]any{}
	for name, values := range x.request.URL.Query() {
		if query[name] = values; len(values) == 1 {
			query[name] = values[0]
		}
	}
	request := map[string]any{
		"id":          x.id,
		"method":      x.request.Method,
		"uri":         x.request.RequestURI,
		"url":         x.forwarded.proto + "://" + x.forwarded.host + ":" + x.forwarded.port + x.request.RequestURI,
		"size":        max(0, x.request.ContentLength),
		"querystring": query,
		"headers":     flatHeaders(x.request.Header, "authorization", "proxy-authorization"),
	}
	request["headers"].(map[string]any)["host"] = x.request.Host
	entry := map[string]any{
		"started_at":     x.start.UnixMilli(),
		"client_ip":      x.client.String(),
		"request":        request,
		"response":       map[string]any{"status": x.status, "size": x.size, "headers": flatHeaders(x.Header())},
		"latencies":      x.latencies(),
		"tries":          append([]try{}, x.tries...),
		"source":         x.source(),
		"workspace_name": "default",
	}
	if x.match != nil {
		entry["route"] = x.match.route
	}
	if x.service != nil {
		entry["service"] = x.service
	}
	if x.consumer != nil {
		entry["consumer"] = x.consumer
	}
	if x.credential != "" {
		entry["authenticated_entity"] = map[string]any{"id": x.credential}
	}
	if x.upstreamStatus != 0 {
		entry["upstream_uri"] = x.upstreamURI
		entry["upstream_status"] = strconv.Itoa(x.upstreamStatus)
	}
	return entry
}

func flatHeaders(header http.Header, secret ...string) map[string]any {
	flat := map[string]any{}
	for name, values := range header {
		name = strings.ToLower(name)
		if flat[name] = values; len(values) == 1 {
			flat[name] = values[0]
		}
		for _, one := range secret {
			if name == one {
				flat[name] = "REDACTED"
			}
		}
	}
	return flat
}

func (x *exchange) logLine() []byte { return encodeJSON(x.entry()) }
