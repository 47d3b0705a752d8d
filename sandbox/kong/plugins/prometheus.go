package plugins

import (
	"strconv"

	"kong/declarative"
	"kong/gateway"
)

type prometheus struct {
	StatusCodeMetrics     bool `json:"status_code_metrics"`
	LatencyMetrics        bool `json:"latency_metrics"`
	BandwidthMetrics      bool `json:"bandwidth_metrics"`
	UpstreamHealthMetrics bool `json:"upstream_health_metrics"`
}

var (
	kongBuckets     = []int64{1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000}
	upstreamBuckets = []int64{25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000}
)

func newPrometheus(c *prometheus, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Log: func(x *gateway.Exchange) {
		m := &x.Gateway.Metrics
		m.Mutex.Lock()
		defer m.Mutex.Unlock()
		m.ShowHealth = m.ShowHealth || c.UpstreamHealthMetrics
		if x.Service == nil {
			return
		}
		source := "kong"
		if x.UpstreamStatus != 0 {
			source = "service"
		}
		at := gateway.Labels("service", x.Service.Name, "route", x.Match.Name)
		if c.BandwidthMetrics {
			m.Add("bandwidth_bytes", at+gateway.Labels(",direction", "ingress", "workspace", "default", "consumer", ""), max(0, x.Request.ContentLength))
			m.Add("bandwidth_bytes", at+gateway.Labels(",direction", "egress", "workspace", "default", "consumer", ""), int64(x.Size))
		}
		if c.StatusCodeMetrics {
			m.Add("http_requests_total", at+gateway.Labels(",code", strconv.Itoa(x.Status), "source", source, "workspace", "default", "consumer", ""), 1)
		}
		if c.LatencyMetrics {
			at += gateway.Labels(",workspace", "default")
			took := x.Latencies()
			m.Observe("request_latency_ms", at, took.Request, upstreamBuckets)
			m.Observe("kong_latency_ms", at, took.Kong, kongBuckets)
			if took.Proxy >= 0 {
				m.Observe("upstream_latency_ms", at, took.Proxy, upstreamBuckets)
			}
		}
	}}
}
