package gateway

import (
	"cmp"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/pires/go-proxyproto"

	"kong/settings"
)

// addresses are the client's address, according to trusted hops, and the address of the connection's peer.
func (g *Gateway) addresses(r *http.Request) (client, peer netip.Addr) {
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
	if g.Settings.RealIPHeader == "proxy_protocol" {
		if header != nil && header.Command.IsProxy() && header.SourceAddr != nil {
			return addressOf(header.SourceAddr), peer
		}
		return peer, peer
	}
	chain := settings.Fields(strings.Join(r.Header.Values(g.Settings.RealIPHeader), ","))
	if len(chain) > 0 {
		if address, err := netip.ParseAddr(chain[len(chain)-1]); err == nil {
			return address.Unmap(), peer
		}
	}
	return peer, peer
}

func (g *Gateway) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(g.Settings.TrustedIPs, func(p netip.Prefix) bool { return p.Contains(address) })
}

func addressOf(address net.Addr) netip.Addr {
	if tcp, is := address.(*net.TCPAddr); is {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}

// forward keeps the X-Forwarded- headers of a trusted hop, and sets the others from this connection.
func (x *Exchange) forward() {
	trusted := func(string) string { return "" }
	if x.Gateway.trusts(x.Peer) {
		trusted = x.Request.Header.Get
	}
	proto := "http"
	if x.Request.TLS != nil {
		proto = "https"
	}
	local := x.Request.Context().Value(http.LocalAddrContextKey).(net.Addr).(*net.TCPAddr).Port
	if outer, mapped := x.Gateway.Settings.PortMaps[local]; mapped {
		local = outer
	}
	prefix := ""
	if *x.Match.StripPath && x.Match.Prefix != "/" {
		prefix = x.Match.Prefix
	}
	f := &x.Forwarded
	f.Proto = cmp.Or(trusted("X-Forwarded-Proto"), proto)
	f.Host = cmp.Or(trusted("X-Forwarded-Host"), strings.ToLower(hostname(x.Request.Host)))
	f.port = cmp.Or(trusted("X-Forwarded-Port"), Port(local))
	f.path = cmp.Or(trusted("X-Forwarded-Path"), x.Request.URL.EscapedPath())
	f.prefix = cmp.Or(trusted("X-Forwarded-Prefix"), prefix)
}
