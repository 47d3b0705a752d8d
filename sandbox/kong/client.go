package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/pires/go-proxyproto"
)

// addresses are the client that a request comes from, as far as trusted hops tell it, and the peer that connected.
func (g *gateway) addresses(r *http.Request) (client, peer netip.Addr) {
	conn := r.Context().Value(connKey).(net.Conn)
	if secured, is := conn.(*tls.Conn); is {
		conn = secured.NetConn()
	}
	var header *proxyproto.Header
	if headed, is := conn.(headedConn); is {
		header = headed.ProxyHeader()
		conn = headed.Raw()
	}
	peer = addressOf(conn.RemoteAddr())
	if !g.trusts(peer) {
		return peer, peer
	}
	if g.settings.realIPHeader == "proxy_protocol" {
		if header != nil && header.Command.IsProxy() && header.SourceAddr != nil {
			return addressOf(header.SourceAddr), peer
		}
		return peer, peer
	}
	client = peer
	chain := fields(strings.Join(r.Header.Values(g.settings.realIPHeader), ","))
	for _, text := range slices.Backward(chain) {
		address, err := netip.ParseAddr(text)
		if err != nil {
			break
		}
		client = address.Unmap()
		if !g.settings.realIPRecursive || !g.trusts(client) {
			break
		}
	}
	return client, peer
}

func (g *gateway) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(g.settings.trustedIPs, func(p netip.Prefix) bool { return p.Contains(address) })
}

func addressOf(address net.Addr) netip.Addr {
	if tcp, is := address.(*net.TCPAddr); is {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}

// forward takes the X-Forwarded- headers of a trusted hop, and what is seen here for those that it doesn't set.
func (x *exchange) forward() {
	told := func(string) string { return "" }
	if x.gateway.trusts(x.peer) {
		told = x.request.Header.Get
	}
	or := func(first, second string) string {
		if first != "" {
			return first
		}
		return second
	}
	proto := "http"
	if x.request.TLS != nil {
		proto = "https"
	}
	local := x.request.Context().Value(http.LocalAddrContextKey).(net.Addr).(*net.TCPAddr).Port
	if outer, mapped := x.gateway.settings.portMaps[local]; mapped {
		local = outer
	}
	prefix := ""
	if *x.match.StripPath && x.match.prefix != "/" {
		prefix = x.match.prefix
	}
	f := &x.forwarded
	f.proto = or(told("X-Forwarded-Proto"), proto)
	f.host = or(told("X-Forwarded-Host"), strings.ToLower(hostname(x.request.Host)))
	f.port = or(told("X-Forwarded-Port"), port(local))
	f.path = or(told("X-Forwarded-Path"), x.request.URL.EscapedPath())
	f.prefix = or(told("X-Forwarded-Prefix"), prefix)
}
