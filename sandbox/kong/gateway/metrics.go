package gateway

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"kong/settings"
)

// Labels writes pairs of names and values; a comma before the first name continues a list.
func Labels(pairs ...string) string {
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
	Mutex      sync.Mutex
	values     map[string]map[string]int64 // by name, then "_suffix{labels}"
	order      map[string][]string         // of the samples of a name, as they came
	ShowHealth bool
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

func (m *metrics) Add(name, labels string, amount int64) {
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

func (m *metrics) Observe(name, labels string, value int64, buckets []int64) {
	for _, limit := range buckets {
		m.addSample(name, fmt.Sprintf("_bucket{%s,le=\"%d\"}", labels, limit), asNumber(value <= limit))
	}
	m.addSample(name, "_bucket{"+labels+",le=\"+Inf\"}", 1)
	m.addSample(name, "_count{"+labels+"}", 1)
	m.addSample(name, "_sum{"+labels+"}", value)
}

// expose writes everything in Prometheus's text format.
func (g *Gateway) expose(w http.ResponseWriter, _ *http.Request) {
	m := &g.Metrics
	m.Mutex.Lock()
	defer m.Mutex.Unlock()
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	now := metrics{values: map[string]map[string]int64{}, order: map[string][]string{}}
	now.addSample("datastore_reachable", "", 1)
	now.addSample("node_info", "{"+Labels("node_id", g.Node, "version", settings.Version)+"}", 1)
	now.addSample("nginx_requests_total", "{"+Labels("node_id", g.Node, "subsystem", "http")+"}", g.requests.Load())
	if m.ShowHealth {
		for _, b := range g.current.Load().upstreams {
			for _, t := range b.targets {
				for _, state := range []string{"healthchecks_off", "healthy", "unhealthy", "dns_error"} {
					now.addSample("upstream_target_health", "{"+Labels("upstream", b.upstream, "target", t.address, "address", t.address,
						"state", state, "subsystem", "http")+"}", asNumber(state == "healthchecks_off"))
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

func asNumber(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
