package gateway

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"time"

	"kong/declarative"
)

// balancer chooses among an upstream's targets by weighted round robin.
type balancer struct {
	upstream string
	checks   declarative.ActiveChecks

	mutex   sync.Mutex
	targets []*target
}

type target struct {
	address string
	weight  int
	credit  int
	health  *health
}

func (b *balancer) Add(address string, weight int) {
	if weight > 0 {
		b.targets = append(b.targets, &target{address: address, weight: weight, health: &health{}})
	}
}

// next returns the target whose turn it is, nil if no target is healthy. The turns of a target with a large weight are
// spread between those of the others. As in Kong, a retry may choose the same target again.
func (b *balancer) next() *target {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var passing []*target
	total := 0
	for _, t := range b.targets {
		if !t.health.failed.Load() {
			passing = append(passing, t)
			t.credit += t.weight
			total += t.weight
		}
	}
	if len(passing) == 0 {
		return nil
	}
	best := slices.MaxFunc(passing, func(a, b *target) int { return a.credit - b.credit })
	best.credit -= total
	return best
}

var errNoPeer = errors.New("failure to get a peer from the ring-balancer")

// RoundTrip sends a request to its service, and to the next target if the first can't be reached. Like nginx it also
// tries again after an error or a timeout of a request that may be repeated: a slow service is waited for 1 + retries
// times. A kept connection that turns out to be closed is no try.
func (g *Gateway) RoundTrip(request *http.Request) (*http.Response, error) {
	x := request.Context().Value(exchangeKey).(*Exchange)
	if request.Body != nil {
		// The transport closes a body that it didn't get to send, and the next try needs it. The server closes it.
		request.Body = io.NopCloser(request.Body)
	}
	for count := 0; ; count++ {
		address := net.JoinHostPort(x.Service.Host, Port(x.Service.Port))
		if x.balancer != nil {
			at := x.balancer.next()
			if at == nil {
				return nil, errNoPeer
			}
			address = at.address
		}
		x.aim(request, address)
		begun := time.Now()
		response, kept, err := once(g.transport(x.Service), request)
		if err == nil {
			if err = x.checkHead(response); err != nil {
				response.Body.Close()
				return nil, err
			}
		}
		x.Tries = append(x.Tries, newTry(address, begun, err != nil))
		var timeout net.Error
		if kept && err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
			count--
		}
		if err == nil || count == x.Service.Retries || !repeatable(request, err) || request.Context().Err() != nil {
			return response, err
		}
	}
}

// once sends a request a single time, and says whether by a connection that was kept. The transport by itself repeats
// what fails on such a one, after a timeout, too.
func once(transport *http.Transport, request *http.Request) (*http.Response, bool, error) {
	kept := false
	trace := httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { kept = got.Reused }}
	single := request.WithContext(httptrace.WithClientTrace(request.Context(), &trace))
	if single.Body == nil && slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, single.Method) {
		// With a body that can't be had again, if an empty one, it isn't repeated.
		single.Body = io.NopCloser(strings.NewReader(""))
	}
	response, err := transport.RoundTrip(single)
	return response, kept, err
}

// aim points a request at a service's address.
func (x *Exchange) aim(request *http.Request, address string) {
	request.URL.Host = address
	switch {
	case x.UpstreamHost != "":
		request.Host = x.UpstreamHost
	case x.Match.PreserveHost:
		request.Host = x.Request.Host
	default:
		request.Host = WithoutDefaultPort(address, x.Service.Protocol)
	}
}

func repeatable(request *http.Request, err error) bool {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return true
	}
	return request.Body == nil && slices.Contains([]string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}, request.Method)
}
