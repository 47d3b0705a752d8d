package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"time"
)

// healthchecks is when an upstream's targets are taken out of its turns and back in. A limit of 0 is none.
type healthchecks struct {
	Active    activeCheck `json:"active"`
	Passive   check       `json:"passive"`
	Threshold float64     `json:"threshold" range:"0,100"` // percentage of weight in health that the upstream needs
}

type check struct {
	Type    string `json:"type" oneof:"http,https,tcp"`
	Healthy struct {
		Interval     float64 `json:"interval" range:"0,65535"` // seconds
		HTTPStatuses []int   `json:"http_statuses"`
		Successes    int     `json:"successes" range:"0,255"`
	} `json:"healthy"`
	Unhealthy struct {
		Interval     float64 `json:"interval" range:"0,65535"`
		HTTPStatuses []int   `json:"http_statuses"`
		HTTPFailures int     `json:"http_failures" range:"0,255"`
		TCPFailures  int     `json:"tcp_failures" range:"0,255"`
		Timeouts     int     `json:"timeouts" range:"0,255"`
	} `json:"unhealthy"`
}

type activeCheck struct {
	check
	HTTPPath               string              `json:"http_path"`
	Timeout                float64             `json:"timeout" range:"0,65535"` // seconds
	Concurrency            int                 `json:"concurrency"`             // every target has its own turn here
	Headers                map[string][]string `json:"headers"`
	HTTPSVerifyCertificate bool                `json:"https_verify_certificate"`
	HTTPSSNI               string              `json:"https_sni"`
}

func defaultHealthchecks() (h healthchecks) {
	h.Active.Type, h.Active.HTTPPath, h.Active.Timeout, h.Active.Concurrency = "http", "/", 1, 10
	h.Active.HTTPSVerifyCertificate = true
	h.Active.Healthy.HTTPStatuses = []int{200, 302}
	h.Active.Unhealthy.HTTPStatuses = []int{429, 404, 500, 501, 502, 503, 504, 505}
	h.Passive.Type = "http"
	h.Passive.Healthy.HTTPStatuses = []int{200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308}
	h.Passive.Unhealthy.HTTPStatuses = []int{429, 500, 503}
	return h
}

func (h *healthchecks) active() bool {
	return h.Active.Healthy.Interval > 0 || h.Active.Unhealthy.Interval > 0
}

func (h *healthchecks) off() bool {
	u := h.Passive.Unhealthy
	return !h.active() && u.HTTPFailures+u.TCPFailures+u.Timeouts == 0
}

// health is what is known of a target. It outlives configurations that don't change how it is found out.
type health struct {
	mutex                                sync.Mutex
	down                                 bool
	successes, failures, unreached, slow int
}

func (h *health) isDown() bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return h.down
}

// outcome is a status, or one of the two ways to get none.
type outcome int

const (
	unreached outcome = -1
	timedOut  outcome = -2
)

func outcomeOf(response *http.Response, err error) outcome {
	var slow net.Error
	switch {
	case err == nil:
		return outcome(response.StatusCode)
	case errors.As(err, &slow) && slow.Timeout():
		return timedOut
	}
	return unreached
}

func (h *health) report(by *check, what outcome, of *upstreamEntity, address string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	count, limit := (*int)(nil), 0
	switch {
	case what == timedOut:
		count, limit = &h.slow, by.Unhealthy.Timeouts
	case what == unreached:
		count, limit = &h.unreached, by.Unhealthy.TCPFailures
	case slices.Contains(by.Unhealthy.HTTPStatuses, int(what)):
		count, limit = &h.failures, by.Unhealthy.HTTPFailures
	case slices.Contains(by.Healthy.HTTPStatuses, int(what)):
		count, limit = &h.successes, by.Healthy.Successes
	}
	if limit == 0 {
		return
	}
	if count == &h.successes {
		h.failures, h.unreached, h.slow = 0, 0, 0
	} else {
		h.successes = 0
	}
	if *count++; *count >= limit && h.down == (count == &h.successes) {
		h.down = !h.down
		log.Printf("upstream %s: target %s is %s", of.Name, address, map[bool]string{true: "unhealthy", false: "healthy"}[h.down])
	}
}

// probe asks a target over and over how it is.
func (b *balancer) probe(ctx context.Context, t *target) {
	active := &b.upstream.Healthchecks.Active
	client := http.Client{
		Timeout:       seconds(active.Timeout),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			InsecureSkipVerify: !active.HTTPSVerifyCertificate, ServerName: active.HTTPSSNI,
		}},
	}
	for {
		interval := active.Healthy.Interval
		if t.health.isDown() {
			interval = active.Unhealthy.Interval
		}
		idle := interval == 0 // only in its other state is this target asked
		if idle {
			interval = 1
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(seconds(interval)):
		}
		if idle {
			continue
		}
		if found := active.ask(ctx, &client, t.address, b.upstream.HostHeader); ctx.Err() == nil {
			t.health.report(&active.check, found, b.upstream, t.address)
		}
	}
}

func (a *activeCheck) ask(ctx context.Context, client *http.Client, address, host string) outcome {
	if a.Type == "tcp" {
		conn, err := (&net.Dialer{Timeout: client.Timeout}).DialContext(ctx, "tcp", address)
		if err == nil {
			conn.Close()
			return outcome(a.Healthy.HTTPStatuses[0])
		}
		return outcomeOf(nil, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Type+"://"+address+a.HTTPPath, nil)
	if err != nil {
		return unreached
	}
	request.Host = host
	for name, values := range a.Headers {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	response, err := client.Do(request)
	if err == nil {
		response.Body.Close()
	}
	return outcomeOf(response, err)
}

// adopt makes a snapshot the current one: what is known of its targets comes along.
func (g *gateway) adopt(s *snapshot) {
	before := g.current.Swap(s)
	for name, b := range s.upstreams {
		ctx, stop := context.WithCancel(context.Background())
		b.stop = stop
		old := before.upstreams[name]
		for _, t := range b.targets {
			if old != nil && reflect.DeepEqual(old.upstream.Healthchecks, b.upstream.Healthchecks) {
				for _, known := range old.targets {
					if known.address == t.address {
						t.health = known.health
					}
				}
			}
			if b.upstream.Healthchecks.active() {
				go b.probe(ctx, t)
			}
		}
	}
	for _, b := range before.upstreams {
		b.stop()
	}
}

type targetState struct{ upstream, address, state string }

// healths is how all targets are.
func (s *snapshot) healths() (result []targetState) {
	for _, b := range s.upstreams {
		for _, t := range b.targets {
			state := "healthy"
			if t.health.isDown() {
				state = "unhealthy"
			}
			if b.upstream.Healthchecks.off() {
				state = "healthchecks_off"
			}
			result = append(result, targetState{b.upstream.Name, t.address, state})
		}
	}
	return result
}
