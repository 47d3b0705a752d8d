package main

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// balancer gives an upstream's targets their turns.
type balancer struct {
	upstream *upstreamEntity
	stop     context.CancelFunc // of its active checks

	mutex   sync.Mutex
	targets []*target
}

type target struct {
	address string
	weight  int
	credit  int
	busy    int // requests under way
	health  *health
}

func newBalancer(u *upstreamEntity) *balancer { return &balancer{upstream: u, stop: func() {}} }

func (b *balancer) add(address string, weight int) {
	if weight > 0 {
		b.targets = append(b.targets, &target{address: address, weight: weight, health: &health{}})
	}
}

// next is a target that is in health, if possible one that wasn't tried yet; nil if there is none.
func (b *balancer) next(x *exchange, tried []*target) *target {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	healthy, total, fit := []*target{}, 0, 0
	for _, t := range b.targets {
		if total += t.weight; !t.health.isDown() {
			fit += t.weight
			healthy = append(healthy, t)
		}
	}
	if threshold := b.upstream.Healthchecks.Threshold; threshold > 0 && float64(fit)*100 < threshold*float64(total) {
		return nil
	}
	candidates := slices.DeleteFunc(slices.Clone(healthy), func(t *target) bool { return slices.Contains(tried, t) })
	if len(candidates) == 0 {
		candidates = healthy
	}
	if len(candidates) == 0 {
		return nil
	}
	chosen := b.pick(x, candidates)
	chosen.busy++
	return chosen
}

func (b *balancer) pick(x *exchange, candidates []*target) *target {
	lowest := func(score func(*target) float64) *target {
		return slices.MinFunc(candidates, func(a, b *target) int {
			if difference := score(a) - score(b); difference != 0 {
				return int(math.Copysign(1, difference))
			}
			return 0
		})
	}
	switch b.upstream.Algorithm {
	case "least-connections":
		return lowest(func(t *target) float64 { return float64(t.busy+1) / float64(t.weight) })
	case "consistent-hashing":
		if key := b.upstream.hashKey(x); key != "" {
			// Rendezvous hashing: every target draws a number for the key, and a heavy one draws better.
			return lowest(func(t *target) float64 { return -math.Log(draw(key, t.address)) / float64(t.weight) })
		}
	}
	// A heavy target's turns are spread between those of the others.
	total := 0
	for _, t := range candidates {
		t.credit += t.weight
		total += t.weight
	}
	best := slices.MaxFunc(candidates, func(a, b *target) int { return a.credit - b.credit })
	best.credit -= total
	return best
}

// draw is the same number in (0, 1] for the same words.
func draw(key, address string) float64 {
	hash := fnv.New64a()
	io.WriteString(hash, key+"\x00"+address)
	mixed := hash.Sum64() * 0x9e3779b97f4a7c15
	mixed ^= mixed >> 29
	return (float64(mixed>>11) + 1) / (1 << 53)
}

func (b *balancer) done(t *target) {
	b.mutex.Lock()
	t.busy--
	b.mutex.Unlock()
}

// hashKey is what a request's target depends on.
func (u *upstreamEntity) hashKey(x *exchange) string {
	by := func(kind, header, argument string) string {
		switch kind {
		case "ip":
			return x.client.String()
		case "consumer":
			if x.consumer != nil {
				return x.consumer.ID
			}
		case "header":
			return x.request.Header.Get(header)
		case "path":
			return x.path
		case "query_arg":
			return x.request.URL.Query().Get(argument)
		}
		return ""
	}
	if key := by(u.HashOn, u.HashOnHeader, u.HashOnQueryArg); key != "" {
		return key
	}
	return by(u.HashFallback, u.HashFallbackHeader, u.HashFallbackQueryArg)
}

var errNoPeer = errors.New("failure to get a peer from the ring-balancer")

// RoundTrip sends a request to its service, and to the next target if the first can't be reached. Like nginx it also
// tries again after an error or a timeout of a request that may be repeated: a slow service is waited for 1 + retries
// times.
func (g *gateway) RoundTrip(request *http.Request) (*http.Response, error) {
	x := request.Context().Value(exchangeKey).(*exchange)
	if request.Body != nil {
		// The transport closes a body that it didn't get to send, and the next try needs it. The server closes it.
		request.Body = io.NopCloser(request.Body)
	}
	var tried []*target
	for count := 0; ; count++ {
		address := net.JoinHostPort(x.service.Host, port(x.service.Port))
		var at *target
		if x.balancer != nil {
			if at = x.balancer.next(x, tried); at == nil {
				return nil, errNoPeer
			}
			address, tried = at.address, append(tried, at)
		}
		x.aim(request, address)
		begun := time.Now()
		response, err := g.transport(x.service).RoundTrip(request)
		x.tries = append(x.tries, newTry(address, begun, err != nil))
		if at != nil && request.Context().Err() == nil {
			at.health.report(&x.balancer.upstream.Healthchecks.Passive, outcomeOf(response, err), x.balancer.upstream, at.address)
		}
		if at != nil {
			response = x.balancer.whenDone(at, response)
		}
		if err == nil || count == x.service.Retries || !repeatable(request, err) || request.Context().Err() != nil {
			return response, err
		}
	}
}

// whenDone frees a target once its response is read.
func (b *balancer) whenDone(t *target, response *http.Response) *http.Response {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols {
		b.done(t)
		return response
	}
	response.Body = &watchedBody{response.Body, sync.OnceFunc(func() { b.done(t) })}
	return response
}

type watchedBody struct {
	io.ReadCloser
	closed func()
}

func (w *watchedBody) Close() error {
	w.closed()
	return w.ReadCloser.Close()
}

// aim points a request at a service's address.
func (x *exchange) aim(request *http.Request, address string) {
	host := ""
	if x.balancer != nil {
		host = x.balancer.upstream.HostHeader
	}
	request.URL.Host = address
	switch {
	case x.upstreamHost != "":
		request.Host = x.upstreamHost
	case x.match.PreserveHost:
		request.Host = x.request.Host
	case host != "":
		request.Host = host
	default:
		request.Host = withoutDefaultPort(address, x.service.Protocol)
	}
}

func repeatable(request *http.Request, err error) bool {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return true
	}
	return request.Body == nil && slices.Contains([]string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}, request.Method)
}
