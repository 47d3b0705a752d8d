package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"
)

// listen is one entry of a KONG_..._LISTEN variable.
type listen struct {
	address                   string
	ssl, http2, proxyProtocol bool
}

func parseListens(value string) ([]listen, error) {
	if value == "off" {
		return nil, nil
	}
	var result []listen
	for entry := range strings.SplitSeq(value, ",") {
		words := strings.Fields(entry)
		if len(words) == 0 {
			return nil, errors.New(`expected "off" or entries like "0.0.0.0:8000 ssl"`)
		}
		if _, _, err := net.SplitHostPort(words[0]); err != nil {
			return nil, err
		}
		one := listen{address: words[0]}
		for _, flag := range words[1:] {
			name, _, _ := strings.Cut(flag, "=")
			switch name {
			case "ssl":
				one.ssl = true
			case "http2":
				one.http2 = true
			case "proxy_protocol":
				one.proxyProtocol = true
			case "reuseport", "backlog", "deferred", "bind": // tuning that changes no answer
			default:
				return nil, fmt.Errorf("this stand-in for Kong has no listen parameter %q", flag)
			}
		}
		result = append(result, one)
	}
	return result, nil
}

// describeListens is how the admin API shows listeners; the controller matches a Gateway's with them.
func describeListens(listens []listen) []any {
	described := []any{}
	for _, l := range listens {
		ip, number, _ := net.SplitHostPort(l.address)
		port, _ := strconv.Atoi(number)
		described = append(described, map[string]any{
			"ip": ip, "port": port, "listener": l.address, "ssl": l.ssl, "http2": l.http2, "proxy_protocol": l.proxyProtocol,
		})
	}
	return described
}

// open is nil, without an error, when the machine has no such address family: Kong's chart always names both.
func (l listen) open(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (net.Listener, error) {
	network := "tcp4"
	if strings.HasPrefix(l.address, "[") {
		network = "tcp6"
	}
	listener, err := net.Listen(network, l.address)
	if network == "tcp6" && (errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		log.Printf("no IPv6 on this machine: %s is left out", l.address)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if l.proxyProtocol {
		listener = headedListener{&proxyproto.Listener{
			Listener:   listener,
			ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil },
		}}
	}
	if l.ssl {
		config := &tls.Config{GetCertificate: certificate, NextProtos: []string{"http/1.1"}}
		if l.http2 {
			config.NextProtos = []string{"h2", "http/1.1"}
		}
		listener = tls.NewListener(listener, config)
	}
	return listener, nil
}

// headedListener's connections begin with a PROXY header. nginx hangs up on one that doesn't, without a word, where
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
	failed chan error
}

// listen opens every listener before it serves on any: a port that is taken ends the start.
func (g *gateway) listen() (*servers, error) {
	certificate, err := selfSigned()
	if err != nil {
		return nil, err
	}
	g.defaultCertificate = certificate
	selfSignedOnly := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }

	started := &servers{failed: make(chan error, 1)}
	var starts []func()
	for _, group := range []struct {
		listens     []listen
		handler     http.Handler
		certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	}{
		{g.settings.adminListen, logged(g.admin(), g.settings.adminLog), selfSignedOnly},
		{g.settings.statusListen, logged(g.status(), g.settings.statusLog), selfSignedOnly},
		{g.settings.proxyListen, g, g.certificate},
	} {
		for _, l := range group.listens {
			listener, err := l.open(group.certificate)
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
			server.Protocols.SetHTTP2(l.http2 && l.ssl)
			server.Protocols.SetUnencryptedHTTP2(l.http2 && !l.ssl)
			started.all = append(started.all, server)
			starts = append(starts, func() {
				if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
					started.failed <- err
				}
			})
		}
	}
	for _, start := range starts {
		go start()
	}
	return started, nil
}

func (s *servers) close() {
	for _, server := range s.all {
		server.Close()
	}
}

func (s *servers) drain() {
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
