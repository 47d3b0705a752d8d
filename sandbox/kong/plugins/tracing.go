package plugins

import (
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"kong/declarative"
	"kong/gateway"
	"kong/settings"
)

type openTelemetry struct {
	TracesEndpoint     string            `json:"traces_endpoint" need:"yes"`
	ResourceAttributes map[string]string `json:"resource_attributes"`
	SamplingRate       *float64          `json:"sampling_rate" range:"0,1"`
}

// trace is one request's place in a distributed trace.
type trace struct {
	id                     []byte
	parent, root, balancer []byte // spans
	state                  string
	sampled                bool
}

// newOpenTelemetry continues the client's trace, or begins one, and exports the gateway's spans.
func newOpenTelemetry(c *openTelemetry, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	checkURL("config.traces_endpoint", c.TracesEndpoint, wrong)
	q := &queue{batchSize: 200, name: "opentelemetry"}
	var resource []attribute
	var known sync.Once
	return gateway.Handler{
		Access: func(x *gateway.Exchange) {
			t := c.begin(x)
			x.Trace = t
			x.Request.Header.Set("Traceparent", t.header())
		},
		Log: func(x *gateway.Exchange) {
			t, begun := x.Trace.(*trace)
			if !begun { // refused before it came to this plugin
				t = c.begin(x)
			}
			if !t.sampled {
				return
			}
			known.Do(func() {
				resource = resourceOf(x.Gateway, c.ResourceAttributes)
				q.send = func(batch [][]byte) error {
					// Kong's time-outs to connect, to send and to read.
					return deliver(c.TracesEndpoint, "application/x-protobuf", exportRequest(resource, batch), (1+5+5)*time.Second)
				}
			})
			for _, span := range spans(x, t) {
				q.Add(span)
			}
		},
	}
}

// traceParent is a header of the W3C's Trace Context recommendation.
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})`)

func (c *openTelemetry) begin(x *gateway.Exchange) *trace {
	t := &trace{id: randomBytes(16), root: randomBytes(8), balancer: randomBytes(8), state: x.Request.Header.Get("Tracestate")}
	rate := x.Gateway.Settings.SamplingRate
	if c.SamplingRate != nil {
		rate = *c.SamplingRate
	}
	t.sampled = mathrand.Float64() < rate
	parts := traceParent.FindStringSubmatch(x.Request.Header.Get("Traceparent"))
	if parts != nil && strings.Trim(parts[1], "0") != "" {
		t.id, _ = hex.DecodeString(parts[1])
		t.parent, _ = hex.DecodeString(parts[2])
		flags, _ := hex.DecodeString(parts[3])
		t.sampled = t.sampled && flags[0]&1 == 1
	}
	if !slices.Contains([]string{"all", "request"}, x.Gateway.Settings.Instrumentations) {
		t.sampled = false
	}
	if x.Gateway.Settings.Instrumentations != "all" {
		t.balancer = nil
	}
	return t
}

// header makes this gateway's last span the service's parent.
func (t *trace) header() string {
	flags, last := "00", t.balancer
	if t.sampled {
		flags = "01"
	}
	if last == nil {
		last = t.root
	}
	return "00-" + hex.EncodeToString(t.id) + "-" + hex.EncodeToString(last) + "-" + flags
}

func randomBytes(count int) []byte {
	b := make([]byte, count)
	rand.Read(b)
	return b
}

const (
	kindServer = 2
	kindClient = 3
)

// spans returns the span of the exchange and, if the service was called, the span of that call.
func spans(x *gateway.Exchange, t *trace) [][]byte {
	attributes := []attribute{
		{"http.method", x.Request.Method},
		{"http.url", x.Forwarded.Proto + "://" + x.Request.Host + x.Request.RequestURI},
		{"http.host", x.Forwarded.Host},
		{"http.scheme", x.Forwarded.Proto},
		{"http.flavor", strings.TrimPrefix(x.Request.Proto, "HTTP/")},
		{"http.client_ip", x.Client.String()},
		{"net.peer.ip", x.Peer.String()},
		{"http.status_code", x.Status},
		{"kong.request.id", x.Id},
	}
	if x.Match != nil && x.Match.Prefix != "" {
		attributes = append(attributes, attribute{"http.route", x.Match.Prefix})
	}
	spans := [][]byte{t.span("kong", kindServer, t.root, t.parent, x.Start, time.Now(), attributes, x.Status >= 500)}
	if t.balancer != nil && len(x.Tries) > 0 {
		last := x.Tries[len(x.Tries)-1]
		spans = append(spans, t.span("kong.balancer", kindClient, t.balancer, t.root, x.Sent, x.Sent.Add(x.Waited),
			[]attribute{{"net.peer.ip", last.IP}, {"net.peer.port", last.Port}, {"try_count", len(x.Tries)}}, last.State != ""))
	}
	return spans
}

func resourceOf(g *gateway.Gateway, configured map[string]string) []attribute {
	result := []attribute{{"service.instance.id", g.Node}, {"service.version", settings.Version}}
	if _, named := configured["service.name"]; !named {
		result = append(result, attribute{"service.name", "kong"})
	}
	for name, value := range configured {
		result = append(result, attribute{name, value})
	}
	return result
}
