package declarative

import (
	"net"
	"strings"
)

// UpstreamEntity is an upstream with what the controller sets: requests go in turn to its healthy targets.
type UpstreamEntity struct {
	identity
	Name         string       `json:"name"`
	Algorithm    string       `json:"algorithm"`
	Healthchecks Healthchecks `json:"healthchecks"`
}

// Healthchecks holds active checks only: passive ones are refused.
type Healthchecks struct {
	Active ActiveChecks `json:"active"`
}

// ActiveChecks configures requests to the targets. An interval of 0 turns them off; a limit of 0 ignores that outcome.
type ActiveChecks struct {
	Type        string  `json:"type"`
	HTTPPath    string  `json:"http_path"`
	Timeout     float64 `json:"timeout"` // seconds, as intervals
	Concurrency int     `json:"concurrency"`
	Healthy     struct {
		Interval     float64 `json:"interval"`
		HTTPStatuses []int   `json:"http_statuses"`
		Successes    int     `json:"successes"`
	} `json:"healthy"`
	Unhealthy struct {
		Interval     float64 `json:"interval"`
		HTTPStatuses []int   `json:"http_statuses"`
		HTTPFailures int     `json:"http_failures"`
		TCPFailures  int     `json:"tcp_failures"`
		Timeouts     int     `json:"timeouts"`
	} `json:"unhealthy"`
}

func newUpstream() Entity {
	active := ActiveChecks{Type: "http", HTTPPath: "/", Timeout: 1, Concurrency: 10}
	active.Healthy.HTTPStatuses = []int{200, 302}
	active.Unhealthy.HTTPStatuses = []int{429, 404, 500, 501, 502, 503, 504, 505}
	return &UpstreamEntity{Algorithm: "round-robin", Healthchecks: Healthchecks{active}}
}

func (u *UpstreamEntity) naturalKey() string { return u.Name }
func (u *UpstreamEntity) check(f *Faults) {
	f.required("name", u.Name)
	f.oneOf("algorithm", u.Algorithm, "round-robin")
	active := u.Healthchecks.Active
	// Kong accepts tcp as well, but its HTTP subsystem runs no TCP checks.
	f.oneOf("healthchecks.active.type", active.Type, "http")
	if !strings.HasPrefix(active.HTTPPath, "/") {
		f.Add("healthchecks.active.http_path", "should start with: /")
	}
	f.between("healthchecks.active.concurrency", active.Concurrency, 1, 1<<31)
	for field, limit := range map[string]int{
		"healthy.successes": active.Healthy.Successes, "unhealthy.http_failures": active.Unhealthy.HTTPFailures,
		"unhealthy.tcp_failures": active.Unhealthy.TCPFailures, "unhealthy.timeouts": active.Unhealthy.Timeouts,
	} {
		f.between("healthchecks.active."+field, limit, 0, 255)
	}
	for field, seconds := range map[string]float64{
		"timeout": active.Timeout, "healthy.interval": active.Healthy.Interval, "unhealthy.interval": active.Unhealthy.Interval,
	} {
		if seconds < 0 || seconds > 65535 {
			f.Add("healthchecks.active."+field, "value should be between 0 and 65535")
		}
	}
}

type TargetEntity struct {
	identity
	Target   string    `json:"target"`
	Weight   int       `json:"weight"`
	Upstream reference `json:"upstream"`
}

func newTarget() Entity { return &TargetEntity{Weight: 100, Upstream: reference{to: "upstreams"}} }

func (t *TargetEntity) naturalKey() string       { return t.Target + " " + t.Upstream.Key }
func (t *TargetEntity) references() []*reference { return []*reference{&t.Upstream} }
func (t *TargetEntity) check(f *Faults) {
	f.between("weight", t.Weight, 0, 65535)
	if _, _, err := net.SplitHostPort(t.Target); err != nil {
		f.Add("target", "invalid target: expected host:port")
	}
}
