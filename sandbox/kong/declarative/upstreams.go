package declarative

import "net"

// UpstreamEntity is as the controller makes one: requests go to its targets in turn, and nobody looks after their health.
type UpstreamEntity struct {
	identity
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
}

func newUpstream() Entity { return &UpstreamEntity{Algorithm: "round-robin"} }

func (u *UpstreamEntity) naturalKey() string       { return u.Name }
func (u *UpstreamEntity) references() []*reference { return nil }
func (u *UpstreamEntity) check(f *Faults) {
	f.required("name", u.Name)
	f.oneOf("algorithm", u.Algorithm, "round-robin")
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
