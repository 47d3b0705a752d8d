package main

import "net"

type upstreamEntity struct {
	identity
	Name       string `json:"name"`
	Algorithm  string `json:"algorithm"`
	HostHeader string `json:"host_header,omitempty"`
	Slots      int    `json:"slots"` // how fine Kong's ring is; targets get their share by weight either way

	HashOn               string       `json:"hash_on" oneof:"none,ip,consumer,header,path,query_arg"`
	HashFallback         string       `json:"hash_fallback" oneof:"none,ip,consumer,header,path,query_arg"`
	HashOnHeader         string       `json:"hash_on_header,omitempty"`
	HashFallbackHeader   string       `json:"hash_fallback_header,omitempty"`
	HashOnQueryArg       string       `json:"hash_on_query_arg,omitempty"`
	HashFallbackQueryArg string       `json:"hash_fallback_query_arg,omitempty"`
	Healthchecks         healthchecks `json:"healthchecks"`
}

func newUpstream() entity {
	return &upstreamEntity{
		Algorithm: "round-robin", Slots: 10000, HashOn: "none", HashFallback: "none", Healthchecks: defaultHealthchecks(),
	}
}

func (u *upstreamEntity) key() string              { return u.Name }
func (u *upstreamEntity) references() []*reference { return nil }
func (u *upstreamEntity) check(f *faults) {
	f.required("name", u.Name)
	f.oneOf("algorithm", u.Algorithm, "round-robin", "least-connections", "consistent-hashing")
	f.between("slots", u.Slots, 10, 65536)
	checkFields(u, f)
	if u.HashOn == "header" && u.HashOnHeader == "" {
		f.add("hash_on_header", "required field missing")
	}
	if u.HashOn == "query_arg" && u.HashOnQueryArg == "" {
		f.add("hash_on_query_arg", "required field missing")
	}
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
