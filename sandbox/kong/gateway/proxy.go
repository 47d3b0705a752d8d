// Package gateway serves: listeners, requests on their way through plugins to a service, the admin and the status API.
package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kong/declarative"
	"kong/router"
	"kong/settings"
)

// Gateway serves with its current snapshot; a request keeps the one that it began with.
type Gateway struct {
	Settings           *settings.Settings
	kinds              Kinds
	started            time.Time
	current            atomic.Pointer[Snapshot]
	transports         sync.Map // by wires
	defaultCertificate *tls.Certificate
	proxy              *httputil.ReverseProxy
	Metrics            metrics
	Node               string // id
	requests           atomic.Int64

	checking sync.Mutex
	checkers map[string]*checker // by upstream
}

func New(s *settings.Settings, kinds Kinds) *Gateway {
	g := &Gateway{
		Settings: s, kinds: kinds, started: time.Now(), Node: Uuid(),
		Metrics: metrics{values: map[string]map[string]int64{}, order: map[string][]string{}},
	}
	g.current.Store(newSnapshot(&declarative.Document{Hash: strings.Repeat("0", 32)}, kinds))
	g.proxy = &httputil.ReverseProxy{
		Transport:      g,
		FlushInterval:  -1,
		Rewrite:        func(p *httputil.ProxyRequest) { exchangeOf(p.In).rewrite(p.Out) },
		ModifyResponse: func(r *http.Response) error { exchangeOf(r.Request).proxied(r); return nil },
		ErrorHandler:   func(_ http.ResponseWriter, r *http.Request, err error) { exchangeOf(r).failed(err) },
		ErrorLog:       log.Default(),
	}
	return g
}

// Exchange is a request and its response on their way through the gateway.
type Exchange struct {
	*recorder
	Gateway  *Gateway
	Snapshot *Snapshot
	Request  *http.Request
	Id       string
	Client   netip.Addr // the address that trusted hops report
	Peer     netip.Addr // the address of the connection
	Start    time.Time
	Sent     time.Time     // to the upstream
	Waited   time.Duration // for the upstream's answer
	Tries    []try
	path     string // normalized
	Match    *router.Match
	Service  *declarative.Service
	balancer *balancer

	Consumer       *declarative.Consumer // authenticated by a plugin
	Credential     string                // its id
	Trace          any                   // of opentelemetry, between phases
	chain          []*Handler
	Told           http.Header // response headers that plugins add
	UpstreamHost   string      // for the service, if a plugin sets one
	upstreamURI    string      // path and query of the request to the service
	upstreamVia    string      // the header Via of its response
	Preflight      bool        // the cors plugin has answered it
	UpstreamStatus int         // 0: no response

	// The client's own request, by the headers of a trusted hop or by this connection.
	Forwarded struct{ Proto, Host, port, path, prefix string }
}

func exchangeOf(r *http.Request) *Exchange { return r.Context().Value(exchangeKey).(*Exchange) }

func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &Exchange{recorder: &recorder{ResponseWriter: w}, Gateway: g, Snapshot: g.current.Load(), Start: time.Now(), Told: http.Header{}}
	x.Request = r.WithContext(context.WithValue(r.Context(), exchangeKey, x))
	g.requests.Add(1)
	var id [16]byte
	rand.Read(id[:])
	x.Id = hex.EncodeToString(id[:])
	x.Client, x.Peer = g.addresses(r)
	defer func() {
		x.log(g.Settings.ProxyLog, x.Client, r, fmt.Sprintf(" kong_request_id: %q", x.Id))
		x.runLog()
	}()

	x.path = router.NormalizePath(r.URL.EscapedPath())
	if x.refuse(); x.Status != 0 {
		return
	}
	if x.runRewrite(); x.Status != 0 {
		return
	}
	x.Match = x.Snapshot.router.Find(x.Request, x.path)
	if x.Match == nil {
		x.Fail(http.StatusNotFound, "no Route matched with those values")
		return
	}
	x.Service = x.Snapshot.services[x.Match.Service.Key]
	x.forward()
	if !x.allowedByProtocol() {
		return
	}
	if x.runAccess(); x.Status != 0 {
		return
	}
	if x.Service == nil || !x.Service.Enabled {
		x.Fail(http.StatusServiceUnavailable, "no Service found with those values")
		return
	}
	x.balancer = x.Snapshot.upstreams[strings.ToLower(x.Service.Host)]
	if x.Request.ContentLength < 0 && x.Service.Protocol != "grpc" {
		if _, err := x.WholeBody(); err != nil { // nginx reads the whole request before it connects to the service
			x.nginxError(http.StatusBadRequest, "Bad request")
			return
		}
	}
	x.Sent = time.Now()
	// A service may answer before it has read the whole request. Go's server closes the request's body at the first
	// byte of an answer unless it is told not to, and then leaves it to the handler to read the rest.
	controller := http.NewResponseController(w)
	duplex := r.ProtoMajor == 1 && r.ContentLength != 0 && controller.EnableFullDuplex() == nil
	if g.proxy.ServeHTTP(x.recorder, x.Request); duplex {
		controller.Flush()
		io.Copy(io.Discard, r.Body)
	}
}

func (x *Exchange) demandHTTPS() {
	if code := x.Match.HTTPSRedirectStatusCode; code != http.StatusUpgradeRequired {
		x.Header().Set("Location", "https://"+x.Forwarded.Host+x.Request.URL.RequestURI())
		x.Header().Set("Content-Type", "text/html")
		title := fmt.Sprintf("%d %s", code, http.StatusText(code))
		x.Answer(code, "<html>\r\n<head><title>"+title+"</title></head>\r\n<body>\r\n<center><h1>"+title+"</h1></center>\r\n</body>\r\n</html>\r\n")
		return
	}
	x.Header().Set("Connection", "Upgrade")
	x.Header().Set("Upgrade", "TLS/1.2, HTTP/1.1")
	x.Fail(http.StatusUpgradeRequired, "Please use HTTPS protocol")
}

// rewrite makes the upstream's request of the client's.
func (x *Exchange) rewrite(out *http.Request) {
	path := x.Match.UpstreamPath(x.Service.Path, x.path)
	out.URL = &url.URL{
		Scheme: "http",
		// Opaque goes out as it is, so what the client encoded stays encoded.
		Opaque:     path,
		RawQuery:   x.Request.URL.RawQuery,
		ForceQuery: x.Request.URL.ForceQuery,
	}
	x.upstreamURI = path
	if x.Request.URL.RawQuery != "" {
		x.upstreamURI += "?" + x.Request.URL.RawQuery
	}
	chain := x.Client.String()
	if before := x.Request.Header.Get("X-Forwarded-For"); before != "" { // of several lines the first
		chain = before + ", " + x.Peer.String()
	}
	out.Header.Del("Proxy")
	for name, value := range map[string]string{
		"X-Forwarded-For":    chain,
		"X-Forwarded-Proto":  x.Forwarded.Proto,
		"X-Forwarded-Host":   x.Forwarded.Host,
		"X-Forwarded-Port":   x.Forwarded.port,
		"X-Forwarded-Path":   x.Forwarded.path,
		"X-Forwarded-Prefix": x.Forwarded.prefix,
		"X-Real-IP":          x.Client.String(),
		"X-Kong-Request-Id":  x.Id,
		"Via":                via(x.Request),
	} {
		out.Header.Del(name)
		if value != "" {
			out.Header.Set(name, value)
		}
	}
}

// proxied adds Kong's headers to the upstream's response.
func (x *Exchange) proxied(response *http.Response) {
	x.Waited, x.UpstreamStatus = time.Since(x.Sent), response.StatusCode
	x.upstreamVia = response.Header.Get("Via")
	for name := range response.Header {
		if name == "X-Pad" || strings.HasPrefix(name, "X-Accel-") { // nginx's own
			response.Header.Del(name)
		}
	}
	if kind := response.Header.Get("Content-Type"); charsetAdded.MatchString(kind) {
		response.Header.Set("Content-Type", kind+"; charset=UTF-8")
	}
	x.filterHeader(response.Header)
	x.signHeader(response.Header)
	x.filterResponse(response)
	statusLast(response)
	if response.StatusCode == http.StatusSwitchingProtocols { // which takes the connection past the recorder
		x.Status = response.StatusCode
	}
}

// charsetAdded matches the types to which nginx adds a charset if they have none.
var charsetAdded = regexp.MustCompile(`^(text/html|text/xml|text/plain|application/javascript|application/rss\+xml)\s*$`)

// via is the gateway's name in the header Via.
func via(r *http.Request) string {
	protocol := cmp.Or(map[string]string{"HTTP/1.0": "1", "HTTP/2.0": "2"}[r.Proto], "1.1")
	return strings.TrimPrefix(r.Header.Get("Via")+", "+protocol+" kong/"+settings.Version, ", ")
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func Port(number int) string { return strconv.Itoa(number) }

func hostname(hostPort string) string {
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		return name
	}
	return hostPort
}

func WithoutDefaultPort(address, protocol string) string {
	standard := map[string]string{"http": ":80", "https": ":443"}[protocol]
	return strings.TrimSuffix(address, standard)
}

// certificate picks by server name: the exact one, then a wildcard, then Kong's own.
func (g *Gateway) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	known := g.current.Load().certificates
	name := strings.ToLower(hello.ServerName)
	_, parent, _ := strings.Cut(name, ".")
	for _, candidate := range []string{name, "*." + parent, "*"} {
		if found, ok := known[candidate]; ok {
			return &found.Parsed, nil
		}
	}
	return g.defaultCertificate, nil
}

func Uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
