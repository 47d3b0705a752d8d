package main

import (
	"crypto/rand"
	"encoding/hex"
	mathrand "math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

type openTelemetry struct {
	TracesEndpoint               string            `json:"traces_endpoint" need:"yes"`
	Headers                      map[string]string `json:"headers"`
	ResourceAttributes           map[string]string `json:"resource_attributes"`
	Queue                        queueConfig       `json:"queue"`
	ConnectTimeout               int               `json:"connect_timeout"` // milliseconds, as the next two
	SendTimeout                  int               `json:"send_timeout"`
	ReadTimeout                  int               `json:"read_timeout"`
	HTTPResponseHeaderForTraceID string            `json:"http_response_header_for_traceid"`
	HeaderType                   string            `json:"header_type" oneof:"preserve,ignore,w3c"`
	SamplingRate                 *float64          `json:"sampling_rate" range:"0,1"`
}

var openTelemetryDefaults = openTelemetry{
	ConnectTimeout: 1000, SendTimeout: 5000, ReadTimeout: 5000, HeaderType: "preserve",
	Queue: queueConfig{200, 1, 10000, 60, 0.01, 60, 1},
}

// trace is one request's place in a distributed trace.
type trace struct {
	id                     []byte
	parent, root, balancer []byte // spans
	state                  string
	sampled                bool
}

// newOpenTelemetry continues the client's trace, or begins one, and reports this gateway's part in it.
func newOpenTelemetry(c *openTelemetry, _ *pluginEntity, wrong *faults) handler {
	checkURL("config.traces_endpoint", c.TracesEndpoint, wrong)
	timeout := time.Duration(c.ConnectTimeout+c.SendTimeout+c.ReadTimeout) * time.Millisecond
	q := &queue{queueConfig: c.Queue, name: "opentelemetry"}
	var resource []attribute
	var known sync.Once
	return handler{
		access: func(x *exchange) {
			x.trace = c.begin(x)
			x.request.Header.Set("Traceparent", x.trace.header())
			if name := c.HTTPResponseHeaderForTraceID; name != "" && x.trace.sampled {
				x.told.Set(name, hex.EncodeToString(x.trace.id))
			}
		},
		log: func(x *exchange) {
			if x.trace == nil { // refused before it came to this plugin
				x.trace = c.begin(x)
			}
			if !x.trace.sampled {
				return
			}
			known.Do(func() {
				resource = x.gateway.resource(c.ResourceAttributes)
				q.send = func(batch [][]byte) error {
					content := exportRequest(resource, batch)
					return deliver(http.MethodPost, c.TracesEndpoint, "application/x-protobuf", c.Headers, content, timeout)
				}
			})
			for _, span := range x.spans() {
				q.add(span)
			}
		},
	}
}

// traceParent is a header of the W3C's Trace Context recommendation.
var traceParent = regexp.MustCompile(`^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})`)

func (c *openTelemetry) begin(x *exchange) *trace {
	t := &trace{id: randomBytes(16), root: randomBytes(8), balancer: randomBytes(8), state: x.request.Header.Get("Tracestate")}
	rate := x.gateway.settings.samplingRate
	if c.SamplingRate != nil {
		rate = *c.SamplingRate
	}
	t.sampled = mathrand.Float64() < rate
	told := traceParent.FindStringSubmatch(x.request.Header.Get("Traceparent"))
	if told != nil && strings.Trim(told[1], "0") != "" && c.HeaderType != "ignore" {
		t.id, _ = hex.DecodeString(told[1])
		t.parent, _ = hex.DecodeString(told[2])
		flags, _ := hex.DecodeString(told[3])
		t.sampled = t.sampled && flags[0]&1 == 1
	}
	if !slices.Contains([]string{"all", "request"}, x.gateway.settings.instrumentations) {
		t.sampled = false
	}
	if x.gateway.settings.instrumentations != "all" {
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

// spans are the whole exchange and, if it got so far, the service's part in it.
func (x *exchange) spans() [][]byte {
	attributes := []attribute{
		{"http.method", x.request.Method},
		{"http.url", x.forwarded.proto + "://" + x.request.Host + x.request.RequestURI},
		{"http.host", x.forwarded.host},
		{"http.scheme", x.forwarded.proto},
		{"http.flavor", strings.TrimPrefix(x.request.Proto, "HTTP/")},
		{"http.client_ip", x.client.String()},
		{"net.peer.ip", x.peer.String()},
		{"http.status_code", x.status},
		{"kong.request.id", x.id},
	}
	if x.match != nil && x.match.prefix != "" {
		attributes = append(attributes, attribute{"http.route", x.match.prefix})
	}
	spans := [][]byte{x.trace.span("kong", kindServer, x.trace.root, x.trace.parent, x.start, time.Now(), attributes, x.status >= 500)}
	if x.trace.balancer != nil && len(x.tries) > 0 {
		last := x.tries[len(x.tries)-1]
		spans = append(spans, x.trace.span("kong.balancer", kindClient, x.trace.balancer, x.trace.root, x.sent, x.sent.Add(x.waited),
			[]attribute{{"net.peer.ip", last.IP}, {"net.peer.port", last.Port}, {"try_count", len(x.tries)}}, last.State != ""))
	}
	return spans
}

func (g *gateway) resource(configured map[string]string) []attribute {
	result := []attribute{{"service.instance.id", g.node}, {"service.version", version}}
	if _, named := configured["service.name"]; !named {
		result = append(result, attribute{"service.name", "kong"})
	}
	for name, value := range configured {
		result = append(result, attribute{name, value})
	}
	return result
}
