package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// balancer gives an upstream's targets their turns by weight.
type balancer struct {
	hostHeader string

	mutex   sync.Mutex
	targets []*target
	total   int
}

type target struct {
	address string
	weight  int
	credit  int
}

func (b *balancer) add(address string, weight int) {
	if weight > 0 {
		b.targets = append(b.targets, &target{address: address, weight: weight})
		b.total += weight
	}
}

// next spreads the turns of a heavy target between those of the others; empty if there is none.
func (b *balancer) next() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var best *target
	for _, t := range b.targets {
		t.credit += t.weight
		if best == nil || t.credit > best.credit {
			best = t
		}
	}
	if best == nil {
		return ""
	}
	best.credit -= b.total
	return best.address
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
	for try := 0; ; try++ {
		if !x.aim(request) {
			return nil, errNoPeer
		}
		response, err := g.transport(x.service).RoundTrip(request)
		if err == nil || try == x.service.Retries || !repeatable(request, err) || request.Context().Err() != nil {
			return response, err
		}
	}
}

// aim points a request at the next target of its service.
func (x *exchange) aim(request *http.Request) bool {
	address := net.JoinHostPort(x.service.Host, port(x.service.Port))
	host := ""
	if x.balancer != nil {
		if address = x.balancer.next(); address == "" {
			return false
		}
		host = x.balancer.hostHeader
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
	return true
}

func repeatable(request *http.Request, err error) bool {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return true
	}
	return request.Body == nil && slices.Contains([]string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}, request.Method)
}

type timeouts struct{ connect, read, write int }

// transport keeps the connections to all services of the same timeouts.
func (g *gateway) transport(s *service) *http.Transport {
	key := timeouts{s.ConnectTimeout, s.ReadTimeout, s.WriteTimeout}
	if found, ok := g.transports.Load(key); ok {
		return found.(*http.Transport)
	}
	dialer := net.Dialer{Timeout: time.Duration(s.ConnectTimeout) * time.Millisecond}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &impatientConn{conn, time.Duration(s.ReadTimeout) * time.Millisecond, time.Duration(s.WriteTimeout) * time.Millisecond}, nil
	}
	created := &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			x := ctx.Value(exchangeKey).(*exchange)
			name := x.service.Host
			if x.match.PreserveHost {
				name = hostname(x.request.Host)
			}
			// Kong verifies no upstream's certificate unless it is told to.
			secured := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err := secured.HandshakeContext(ctx); err != nil {
				conn.Close()
				return nil, err
			}
			return secured, nil
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     time.Minute,
	}
	kept, _ := g.transports.LoadOrStore(key, created)
	return kept.(*http.Transport)
}

// impatientConn times out between two reads or two writes, as Kong's timeouts do, not over a whole exchange.
type impatientConn struct {
	net.Conn
	read, write time.Duration
}

func (c *impatientConn) Read(buffer []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(c.read))
	return c.Conn.Read(buffer)
}

// A read waits on an idle connection already: its time runs from what is written.
func (c *impatientConn) Write(buffer []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(c.write))
	c.SetReadDeadline(time.Now().Add(c.read))
	return c.Conn.Write(buffer)
}
