package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

type prometheus struct {
	PerConsumer           bool `json:"per_consumer"`
	StatusCodeMetrics     bool `json:"status_code_metrics"`
	LatencyMetrics        bool `json:"latency_metrics"`
	BandwidthMetrics      bool `json:"bandwidth_metrics"`
	UpstreamHealthMetrics bool `json:"upstream_health_metrics"`
}

var (
	kongBuckets     = []int64{1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000}
	upstreamBuckets = []int64{25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000}
)

func newPrometheus(c *prometheus, _ *pluginEntity, _ *faults) handler {
	return handler{log: func(x *exchange) {
		m := &x.gateway.metrics
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.showHealth = m.showHealth || c.UpstreamHealthMetrics
		if x.service == nil {
			return
		}
		consumer := ""
		if c.PerConsumer && x.consumer != nil {
			consumer = x.consumer.Username
		}
		source := "kong"
		if x.upstreamStatus != 0 {
			source = "service"
		}
		at := labels("service", x.service.Name, "route", x.match.Name)
		if c.BandwidthMetrics {
			m.add("bandwidth_bytes", at+labels(",direction", "ingress", "workspace", "default", "consumer", consumer), max(0, x.request.ContentLength))
			m.add("bandwidth_bytes", at+labels(",direction", "egress", "workspace", "default", "consumer", consumer), int64(x.size))
		}
		if c.StatusCodeMetrics {
			m.add("http_requests_total", at+labels(",code", strconv.Itoa(x.status), "source", source, "workspace", "default", "consumer", consumer), 1)
		}
		if c.LatencyMetrics {
			at += labels(",workspace", "default")
			took := x.latencies()
			m.observe("request_latency_ms", at, took.Request, upstreamBuckets)
			m.observe("kong_latency_ms", at, took.Kong, kongBuckets)
			if took.Proxy >= 0 {
				m.observe("upstream_latency_ms", at, took.Proxy, upstreamBuckets)
			}
		}
	}}
}

// labels writes pairs of names and values; a comma before the first name continues a list.
func labels(pairs ...string) string {
	var written strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			written.WriteByte(',')
		}
		fmt.Fprintf(&written, "%s=%q", pairs[i], pairs[i+1])
	}
	return written.String()
}

// metrics are counters and histograms by name and labels. They outlive configurations.
type metrics struct {
	mutex      sync.Mutex
	values     map[string]map[string]int64 // by name, then "_suffix{labels}"
	order      map[string][]string         // of the samples of a name, as they came
	showHealth bool
	requests   int64
}

// described are the metrics' help and type.
var described = map[string][2]string{
	"bandwidth_bytes":        {"Total bandwidth (ingress/egress) throughput in bytes", "counter"},
	"datastore_reachable":    {"Datastore reachable from Kong, 0 is unreachable", "gauge"},
	"http_requests_total":    {"HTTP status codes per consumer/service/route in Kong", "counter"},
	"kong_latency_ms":        {"Latency added by Kong and enabled plugins for each service/route in Kong", "histogram"},
	"nginx_requests_total":   {"Total number of requests", "gauge"},
	"node_info":              {"Kong Node metadata information", "gauge"},
	"request_latency_ms":     {"Total latency incurred during requests for each service/route in Kong", "histogram"},
	"upstream_latency_ms":    {"Latency added by upstream response for each service/route in Kong", "histogram"},
	"upstream_target_health": {"Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated.", "gauge"},
}

func (m *metrics) add(name, labels string, amount int64) {
	m.addSample(name, "{"+labels+"}", amount)
}

func (m *metrics) addSample(name, sample string, amount int64) {
	if m.values[name] == nil {
		m.values[name] = map[string]int64{}
	}
	if _, known := m.values[name][sample]; !known {
		m.order[name] = append(m.order[name], sample)
	}
	m.values[name][sample] += amount
}

func (m *metrics) observe(name, labels string, value int64, buckets []int64) {
	for _, limit := range buckets {
		m.addSample(name, fmt.Sprintf("_bucket{%s,le=\"%d\"}", labels, limit), int64(yes(value <= limit)))
	}
	m.addSample(name, "_bucket{"+labels+",le=\"+Inf\"}", 1)
	m.addSample(name, "_count{"+labels+"}", 1)
	m.addSample(name, "_sum{"+labels+"}", value)
}

// expose writes everything in Prometheus's text format.
func (g *gateway) expose(w http.ResponseWriter, _ *http.Request) {
	m := &g.metrics
	m.mutex.Lock()
	defer m.mutex.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	now := metrics{values: map[string]map[string]int64{}, order: map[string][]string{}}
	now.addSample("datastore_reachable", "", 1)
	now.addSample("node_info", "{"+labels("node_id", g.node, "version", version)+"}", 1)
	now.addSample("nginx_requests_total", "{"+labels("node_id", g.node, "subsystem", "http")+"}", g.requests.Load())
	if m.showHealth {
		for _, b := range g.current.Load().upstreams {
			for _, t := range b.targets {
				for _, state := range []string{"healthchecks_off", "healthy", "unhealthy", "dns_error"} {
					now.addSample("upstream_target_health", "{"+labels("upstream", b.upstream, "target", t.address, "address", t.address,
						"state", state, "subsystem", "http")+"}", int64(yes(state == "healthchecks_off")))
				}
			}
		}
	}
	for _, from := range []*metrics{&now, m} {
		for _, name := range slices.Sorted(maps.Keys(from.values)) {
			from.write(w, name)
		}
	}
}

func (m *metrics) write(w io.Writer, name string) {
	fmt.Fprintf(w, "# HELP kong_%s %s\n# TYPE kong_%s %s\n", name, described[name][0], name, described[name][1])
	for _, sample := range m.order[name] {
		fmt.Fprintf(w, "kong_%s%s %d\n", name, sample, m.values[name][sample])
	}
}
