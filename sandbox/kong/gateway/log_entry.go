package gateway

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

// latencies are the durations of an exchange for log plugins and metrics, in milliseconds.
type latencies struct {
	Request int64 `json:"request"` // from the first byte to the last
	Kong    int64 `json:"kong"`
	Proxy   int64 `json:"proxy"` // until the service's answer began; -1 if none did
}

func (x *Exchange) Latencies() latencies {
	total := time.Since(x.Start).Milliseconds()
	if x.UpstreamStatus == 0 {
		return latencies{total, total, -1}
	}
	return latencies{total, x.Sent.Sub(x.Start).Milliseconds(), x.Waited.Milliseconds()}
}

// source is the origin of the response: the service, Kong or nothing.
func (x *Exchange) source() string {
	if x.UpstreamStatus != 0 {
		return "upstream"
	}
	return "kong"
}

// entry is an exchange as Kong's log plugins write it.
func (x *Exchange) entry() map[string]any {
	query := map[string]any{}
	for name, values := range x.Request.URL.Query() {
		if query[name] = values; len(values) == 1 {
			query[name] = values[0]
		}
	}
	request := map[string]any{
		"id":          x.Id,
		"method":      x.Request.Method,
		"uri":         x.Request.RequestURI,
		"url":         x.Forwarded.Proto + "://" + x.Forwarded.Host + ":" + x.Forwarded.port + x.Request.RequestURI,
		"size":        max(0, x.Request.ContentLength),
		"querystring": query,
		"headers":     flatHeaders(x.Request.Header, "authorization", "proxy-authorization"),
	}
	request["headers"].(map[string]any)["host"] = x.Request.Host
	entry := map[string]any{
		"started_at":     x.Start.UnixMilli(),
		"client_ip":      x.Client.String(),
		"request":        request,
		"response":       map[string]any{"status": x.Status, "size": x.Size, "headers": flatHeaders(x.Header())},
		"latencies":      x.Latencies(),
		"tries":          append([]try{}, x.Tries...),
		"source":         x.source(),
		"workspace_name": "default",
	}
	if x.Match != nil {
		entry["route"] = x.Match.Route
	}
	if x.Service != nil {
		entry["service"] = x.Service
	}
	if x.Consumer != nil {
		entry["consumer"] = x.Consumer
	}
	if x.Credential != "" {
		entry["authenticated_entity"] = map[string]any{"id": x.Credential}
	}
	if x.UpstreamStatus != 0 {
		entry["upstream_uri"] = x.upstreamURI
		entry["upstream_status"] = strconv.Itoa(x.UpstreamStatus)
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

func (x *Exchange) LogLine() []byte { return EncodeJSON(x.entry()) }
