package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
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
	key := wires{s.ConnectTimeout, s.ReadTimeout, s.WriteTimeout, strings.HasPrefix(s.Protocol, "grpc")}
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
	next := []string{"http/1.1"}
	if key.grpc {
		next = []string{"h2"}
	}
	created := &http.Transport{
		DialContext: dial,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			x := ctx.Value(exchangeKey).(*Exchange)
			name := x.Service.Host
			if x.Match.PreserveHost {
				name = hostname(x.Request.Host)
			}
			// Kong verifies no upstream's certificate unless it is told to.
			secured := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: next})
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
	if key.grpc {
		created.Protocols = new(http.Protocols)
		created.Protocols.SetHTTP2(true)
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
