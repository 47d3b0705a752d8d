package gateway

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"kong/settings"
)

// openListener returns nil, without an error, when the machine has no such address family: Kong's chart always names both.
func openListener(l settings.Listen, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (net.Listener, error) {
	network := "tcp4"
	if strings.HasPrefix(l.Address, "[") {
		network = "tcp6"
	}
	listener, err := net.Listen(network, l.Address)
	if network == "tcp6" && (errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		log.Printf("no IPv6 on this machine: %s is left out", l.Address)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if l.ProxyProtocol {
		listener = headedListener{&proxyproto.Listener{
			Listener:   listener,
			ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
		}}
	}
	if l.Ssl {
		config := &tls.Config{GetCertificate: certificate, NextProtos: []string{"http/1.1"}}
		if l.Http2 {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
		listener = tls.NewListener(listener, config)
	}
	return listener, nil
}

// headedListener's connections begin with a PROXY header. nginx closes one that doesn't without a response, where
// Go's server would answer 400.
type headedListener struct{ *proxyproto.Listener }

type headedConn struct{ *proxyproto.Conn }

func (l headedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return headedConn{conn.(*proxyproto.Conn)}, nil
}

func (c headedConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	if err != nil && c.ProxyHeader() == nil {
		log.Printf("broken header while reading PROXY protocol, client: %s", c.Raw().RemoteAddr())
		return n, io.EOF
	}
	return n, err
}

type servers struct {
	all    []*http.Server
	Failed chan error
}

// Listen opens every listener before it serves on any: a port that is taken ends the start.
func (g *Gateway) Listen() (*servers, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	g.defaultCertificate = certificate
	selfSignedOnly := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }

	started := &servers{Failed: make(chan error, 1)}
	var starts []func()
	for _, group := range []struct {
		listens     []settings.Listen
		handler     http.Handler
		certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	}{
		{g.Settings.AdminListen, logged(g.admin(), g.Settings.AdminLog), selfSignedOnly},
		{g.Settings.StatusListen, logged(g.status(), g.Settings.StatusLog), selfSignedOnly},
		{g.Settings.ProxyListen, g, g.certificate},
	} {
		for _, l := range group.listens {
			listener, err := openListener(l, group.certificate)
			if err != nil {
				return nil, err
			}
			if listener == nil {
				continue
			}
			server := &http.Server{
				Handler:     group.handler,
				ErrorLog:    log.New(os.Stderr, "", log.LstdFlags),
				IdleTimeout: 75 * time.Second,
				Protocols:   new(http.Protocols),
				ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
					return context.WithValue(ctx, connKey, conn)
				},
			}
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetHTTP2(l.Http2 && l.Ssl)
			server.Protocols.SetUnencryptedHTTP2(l.Http2 && !l.Ssl)
			started.all = append(started.all, server)
			starts = append(starts, func() {
				if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
					started.Failed <- err
				}
			})
		}
	}
	for _, start := range starts {
		go start()
	}
	return started, nil
}

func (s *servers) Close() {
	for _, server := range s.all {
		server.Close()
	}
}

func (s *servers) Drain() {
	var wait sync.WaitGroup
	for _, server := range s.all {
		wait.Go(func() { server.Shutdown(context.Background()) })
	}
	wait.Wait()
}

type contextKey int

const (
	connKey contextKey = iota
	exchangeKey
)

// selfSigned is the certificate that Kong makes for itself when it has none.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "localhost", Organization: []string{"Kong"}},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(20, 0, 0),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
