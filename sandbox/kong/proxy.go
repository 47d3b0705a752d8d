package main

import (
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
)

// gateway serves with its current snapshot; a request keeps the one that it began with.
type gateway struct {
	settings           *settings
	started            time.Time
	current            atomic.Pointer[snapshot]
	transports         sync.Map // by wires
	defaultCertificate *tls.Certificate
	proxy              *httputil.ReverseProxy
	counters           localCounters
	metrics            metrics
	node               string // id
	requests           atomic.Int64
}

func newGateway(s *settings) *gateway {
	g := &gateway{
		settings: s, started: time.Now(), node: uuid(),
		counters: localCounters{counts: map[string]*usage{}},
		metrics:  metrics{values: map[string]map[string]int64{}, order: map[string][]string{}},
	}
	g.current.Store(newSnapshot(strings.Repeat("0", 32), &document{}))
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

// exchange is a request and its response on their way through the gateway.
type exchange struct {
	*recorder
	gateway  *gateway
	snapshot *snapshot
	request  *http.Request
	id       string
	client   netip.Addr // whom the trusted hops say
	peer     netip.Addr // who connected
	start    time.Time
	sent     time.Time     // to the upstream
	waited   time.Duration // for the upstream's answer
	tries    []try
	path     string // normalized
	match    *match
	service  *service
	balancer *balancer

	consumer   *consumer // whom a plugin found
	credential string    // how
	trace      *trace
	chain      []*handler
	told       http.Header // for the client, beside what the upstream says
	accessing  bool
	pending    *pending // a plugin's answer, while the others are still collected
	// What a plugin has the service asked for instead.
	upstreamPath, upstreamHost string
	upstreamURI                string // what it was asked
	upstreamVia                string // what it answered
	preflight                  bool   // the cors plugin has answered it
	upstreamStatus             int    // 0: it didn't answer

	// What the client used, told by a trusted hop in front or seen here.
	forwarded struct{ proto, host, port, path, prefix string }
}

type pending struct {
	status int
	body   string
}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey).(*exchange) }

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{recorder: &recorder{ResponseWriter: w}, gateway: g, snapshot: g.current.Load(), start: time.Now(), told: http.Header{}}
	x.request = r.WithContext(context.WithValue(r.Context(), exchangeKey, x))
	g.requests.Add(1)
	var id [16]byte
	rand.Read(id[:])
	x.id = hex.EncodeToString(id[:])
	x.client, x.peer = g.addresses(r)
	defer func() {
		x.log(g.settings.proxyLog, x.client, r, fmt.Sprintf(" kong_request_id: %q", x.id))
		x.runLog()
	}()

	x.path = normalizePath(r.URL.EscapedPath())
	if x.refuse(); x.status != 0 {
		return
	}
	if x.runRewrite(); x.status != 0 {
		return
	}
	x.match = x.snapshot.router.find(x.request, x.path)
	if x.match == nil {
		x.fail(http.StatusNotFound, "no Route matched with those values")
		return
	}
	x.service = x.snapshot.services[x.match.Service.key]
	x.forward()
	if !x.suits() {
		return
	}
	if x.runAccess(); x.status != 0 {
		return
	}
	if x.service == nil || !x.service.Enabled {
		x.fail(http.StatusServiceUnavailable, "no Service found with those values")
		return
	}
	x.balancer = x.snapshot.upstreams[strings.ToLower(x.service.Host)]
	if x.request.ContentLength < 0 && !strings.HasPrefix(x.service.Protocol, "grpc") {
		if _, err := x.wholeBody(); err != nil { // nginx has the whole request before it asks the service
			x.nginxError(http.StatusBadRequest, "Bad request")
			return
		}
	}
	x.sent = time.Now()
	// A service may answer before it has read the whole request. Go's server closes the request's body at the first
	// byte of an answer unless it is told not to, and then leaves it to the handler to read the rest.
	controller := http.NewResponseController(w)
	duplex := r.ProtoMajor == 1 && r.ContentLength != 0 && controller.EnableFullDuplex() == nil
	if g.proxy.ServeHTTP(x.recorder, x.request); duplex {
		controller.Flush()
		io.Copy(io.Discard, r.Body)
	}
}

func (x *exchange) demandHTTPS() {
	if code := x.match.HTTPSRedirectStatusCode; code != http.StatusUpgradeRequired {
		x.Header().Set("Location", "https://"+x.forwarded.host+x.request.URL.RequestURI())
		x.Header().Set("Content-Type", "text/html")
		title := fmt.Sprintf("%d %s", code, http.StatusText(code))
		x.answer(code, "<html>\r\n<head><title>"+title+"</title></head>\r\n<body>\r\n<center><h1>"+title+"</h1></center>\r\n</body>\r\n</html>\r\n")
		return
	}
	x.Header().Set("Connection", "Upgrade")
	x.Header().Set("Upgrade", "TLS/1.2, HTTP/1.1")
	x.fail(http.StatusUpgradeRequired, "Please use HTTPS protocol")
}

// rewrite makes the upstream's request of the client's.
func (x *exchange) rewrite(out *http.Request) {
	path := x.upstreamPath
	if path == "" {
		path = x.match.upstreamPath(x.service.Path, x.path)
	}
	out.URL = &url.URL{
		Scheme: map[string]string{"http": "http", "https": "https", "grpc": "http", "grpcs": "https"}[x.service.Protocol],
		// Opaque goes out as it is, so what the client encoded stays encoded.
		Opaque:     path,
		RawQuery:   x.request.URL.RawQuery,
		ForceQuery: x.request.URL.ForceQuery,
	}
	x.upstreamURI = path
	if x.request.URL.RawQuery != "" {
		x.upstreamURI += "?" + x.request.URL.RawQuery
	}
	chain := x.client.String()
	if before := x.request.Header.Get("X-Forwarded-For"); before != "" { // of several lines the first
		chain = before + ", " + x.peer.String()
	}
	out.Header.Del("Proxy")
	for name, value := range map[string]string{
		"X-Forwarded-For":    chain,
		"X-Forwarded-Proto":  x.forwarded.proto,
		"X-Forwarded-Host":   x.forwarded.host,
		"X-Forwarded-Port":   x.forwarded.port,
		"X-Forwarded-Path":   x.forwarded.path,
		"X-Forwarded-Prefix": x.forwarded.prefix,
		"X-Real-IP":          x.client.String(),
		"X-Kong-Request-Id":  x.id,
		"Via":                via(x.request),
	} {
		out.Header.Del(name)
		if value != "" {
			out.Header.Set(name, value)
		}
	}
}

// proxied adds Kong's headers to the upstream's response.
func (x *exchange) proxied(response *http.Response) {
	x.waited, x.upstreamStatus = time.Since(x.sent), response.StatusCode
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
	x.holdBack(response)
	statusLast(response)
	if response.StatusCode == http.StatusSwitchingProtocols { // which takes the connection past the recorder
		x.status = response.StatusCode
	}
}

// charsetAdded matches the types to which nginx adds a charset if they have none.
var charsetAdded = regexp.MustCompile(`^(text/html|text/xml|text/plain|application/javascript|application/rss\+xml)\s*$`)

// via is what a service is told of the gateway.
func via(r *http.Request) string {
	protocol := map[string]string{"HTTP/1.0": "1", "HTTP/2.0": "2"}[r.Proto]
	if protocol == "" {
		protocol = "1.1"
	}
	return strings.TrimPrefix(r.Header.Get("Via")+", "+protocol+" kong/"+version, ", ")
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func port(number int) string { return strconv.Itoa(number) }

func hostname(hostPort string) string {
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		return name
	}
	return hostPort
}

func withoutDefaultPort(address, protocol string) string {
	standard := map[string]string{"http": ":80", "https": ":443"}[protocol]
	return strings.TrimSuffix(address, standard)
}

// certificate picks by server name: the exact one, then a wildcard, then Kong's own.
func (g *gateway) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	known := g.current.Load().certificates
	name := strings.ToLower(hello.ServerName)
	_, parent, _ := strings.Cut(name, ".")
	for _, candidate := range []string{name, "*." + parent, "*"} {
		if found, ok := known[candidate]; ok {
			return &found.parsed, nil
		}
	}
	return g.defaultCertificate, nil
}
