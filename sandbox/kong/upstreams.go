package main

import "net"

// upstreamEntity is as the controller makes one: requests go to its targets in turn, and nobody looks after their health.
type upstreamEntity struct {
	identity
	Name      string `json:"name"`
	Algorithm string `json:"algorithm"`
}

func newUpstream() entity { return &upstreamEntity{Algorithm: "round-robin"} }

func (u *upstreamEntity) key() string              { return u.Name }
func (u *upstreamEntity) references() []*reference { return nil }
func (u *upstreamEntity) check(f *faults) {
	f.required("name", u.Name)
	f.oneOf("algorithm", u.Algorithm, "round-robin")
}

type targetEntity struct {
	identity
	Target   string    `json:"target"`
	Weight   int       `json:"weight"`
	Upstream reference `json:"upstream"`
}

func newTarget() entity { return &targetEntity{Weight: 100, Upstream: reference{to: "upstreams"}} }

func (t *targetEntity) key() string              { return t.Target + " " + t.Upstream.key }
func (t *targetEntity) references() []*reference { return []*reference{&t.Upstream} }
func (t *targetEntity) check(f *faults) {
	f.between("weight", t.Weight, 0, 65535)
	if _, _, err := net.SplitHostPort(t.Target); err != nil {
		f.add("target", "invalid target: expected host:port")
	}
}
