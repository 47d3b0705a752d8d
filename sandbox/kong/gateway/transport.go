package gateway

import (
	"context"
	"net"
	"net/http"
	"time"

	"kong/declarative"
)

// wires is the key by which services share connections.
type wires struct {
	connect, read, write int
	grpc                 bool
}

// transport keeps the connections to all services of the same kind.
func (g *Gateway) transport(s *declarative.Service) *http.Transport {
	key := wires{s.ConnectTimeout, s.ReadTimeout, s.WriteTimeout, s.Protocol == "grpc"}
	if found, ok := g.transports.Load(key); ok {
		return found.(*http.Transport)
	}
	dialer := net.Dialer{Timeout: time.Duration(s.ConnectTimeout) * time.Millisecond}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &idleTimeoutConn{conn, time.Duration(s.ReadTimeout) * time.Millisecond, time.Duration(s.WriteTimeout) * time.Millisecond}, nil
	}
	created := &http.Transport{
		DialContext:         dial,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     time.Minute,
	}
	if key.grpc {
		created.Protocols = new(http.Protocols)
		created.Protocols.SetUnencryptedHTTP2(true)
	}
	kept, _ := g.transports.LoadOrStore(key, created)
	return kept.(*http.Transport)
}

// idleTimeoutConn times out between two reads or two writes, as Kong's timeouts do, not over a whole exchange.
type idleTimeoutConn struct {
	net.Conn
	read, write time.Duration
}

func (c *idleTimeoutConn) Read(buffer []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(c.read))
	return c.Conn.Read(buffer)
}

// A read waits on an idle connection already: its time runs from what is written.
func (c *idleTimeoutConn) Write(buffer []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(c.write))
	c.SetReadDeadline(time.Now().Add(c.read))
	return c.Conn.Write(buffer)
}
