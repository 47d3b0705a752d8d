// Package settings reads the KONG_ environment variables.
package settings

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Version is the version of Kong that the stand-in imitates.
const Version = "3.9.3"

// Settings are the values of KONG_ variables, with Kong's defaults.
type Settings struct {
	ProxyListen, AdminListen, StatusListen []Listen
	ProxyLog, AdminLog, StatusLog          bool
	Prefix                                 string
	PortMaps                               map[int]int // a port of this process to the port that clients see
	RealIPHeader                           string
	TrustedIPs                             []netip.Prefix
	BodyBuffer                             int             // bytes of a request's body that plugins get to see; of a longer one, none
	RequestHeaders, proxyBuffers           sizes           // of the request line and each header line; four of them for all
	ResponseHeaders, GrpcHeaders           int             // bytes of a service's response headers
	Headers                                map[string]bool // that responses get from Kong, in lower case
	Instrumentations                       string          // which spans there are: off, request or all
	SamplingRate                           float64         // of traces, unless a plugin has its own
}

type property struct {
	fallback string
	read     func(*Settings, string) error
}

const defaultPrefix = "/usr/local/kong"

// properties is every property that the stand-in reads. Those with `only` are known, and refused unless they have a
// value under which their absence here makes no difference.
var properties = map[string]property{
	"database":      {"postgres", only("off")},
	"router_flavor": {"traditional_compatible", only("traditional")},
	"prefix":        {defaultPrefix, func(s *Settings, v string) error { s.Prefix = v; return nil }},

	"proxy_listen":  {"0.0.0.0:8000, 0.0.0.0:8443 http2 ssl", listens(func(s *Settings) *[]Listen { return &s.ProxyListen })},
	"admin_listen":  {"127.0.0.1:8001, 127.0.0.1:8444 http2 ssl", listens(func(s *Settings) *[]Listen { return &s.AdminListen })},
	"status_listen": {"127.0.0.1:8007", listens(func(s *Settings) *[]Listen { return &s.StatusListen })},
	// Kong Manager listens on every address unless it is told not to.
	"admin_gui_listen": {"0.0.0.0:8002, 0.0.0.0:8445 ssl", only("off")},
	"cluster_listen":   {"off", only("off")},
	"stream_listen":    {"off", only("off")},
	"port_maps":        {"", readPortMaps},

	"real_ip_header":    {"X-Real-IP", func(s *Settings, v string) error { s.RealIPHeader = v; return nil }},
	"real_ip_recursive": {"off", only("off")},
	"trusted_ips":       {"", readTrustedIPs},

	"proxy_access_log":  {"/dev/stdout", logOf(func(s *Settings) *bool { return &s.ProxyLog })},
	"admin_access_log":  {"/dev/stdout", logOf(func(s *Settings) *bool { return &s.AdminLog })},
	"status_access_log": {"off", logOf(func(s *Settings) *bool { return &s.StatusLog })},
	// Errors always go to stderr.
	"proxy_error_log":  {"/dev/stderr", only("/dev/stderr")},
	"admin_error_log":  {"/dev/stderr", only("/dev/stderr")},
	"status_error_log": {"/dev/stderr", only("/dev/stderr")},
	// Logs of listeners that are off.
	"admin_gui_access_log":    {"", anything},
	"admin_gui_error_log":     {"", anything},
	"portal_api_access_log":   {"", anything},
	"portal_api_error_log":    {"", anything},
	"proxy_stream_access_log": {"", anything},
	"proxy_stream_error_log":  {"", anything},

	"anonymous_reports":                  {"on", only("on", "off")}, // nothing is reported either way
	"kic":                                {"off", only("on", "off")},
	"log_level":                          {"notice", only("debug", "info", "notice", "warn", "error")},
	"lua_package_path":                   {"", only("", "/opt/?.lua;/opt/?/init.lua;;")},
	"nginx_daemon":                       {"off", only("off")},
	"nginx_http_client_body_buffer_size": {"8k", sizeOf(func(s *Settings) *int { return &s.BodyBuffer })},

	"headers": {"server_tokens, latency_tokens, X-Kong-Request-Id", readHeaders},
	"nginx_proxy_large_client_header_buffers": {"4 8k", sizesOf(func(s *Settings) *sizes { return &s.RequestHeaders })},
	"nginx_proxy_proxy_buffer_size":           {"4k", sizeOf(func(s *Settings) *int { return &s.ResponseHeaders })},
	"nginx_proxy_proxy_buffers":               {"8 4k", sizesOf(func(s *Settings) *sizes { return &s.proxyBuffers })},
	"nginx_proxy_grpc_buffer_size":            {"4k", sizeOf(func(s *Settings) *int { return &s.GrpcHeaders })},

	"nginx_worker_processes":   {"auto", readWorkers}, // Go's scheduler follows the container's CPU limit by itself
	"plugins":                  {"bundled", only("bundled")},
	"tracing_instrumentations": {"off", readInstrumentations},
	"tracing_sampling_rate":    {"0.01", readSamplingRate},
}

// serviceLink matches the variables that Kubernetes sets for Services whose name begins with "kong".
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP)(_PROTO|_PORT|_ADDR)?)?$`)

func Read(environment []string) (*Settings, error) {
	values := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		name, isKongs := strings.CutPrefix(name, "KONG_")
		if !isKongs || serviceLink.MatchString(name) {
			continue
		}
		values[strings.ToLower(name)] = value
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, known := properties[name]; !known {
			return nil, fmt.Errorf("KONG_%s: this stand-in for Kong doesn't know the property; it knows %s",
				strings.ToUpper(name), strings.Join(slices.Sorted(maps.Keys(properties)), ", "))
		}
	}
	result := &Settings{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, set := values[name]
		if !set {
			value = properties[name].fallback
		}
		if err := properties[name].read(result, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("KONG_%s=%q: %w", strings.ToUpper(name), value, err)
		}
	}
	return result, result.check()
}

func PrefixOf(environment []string) string {
	for _, variable := range environment {
		if value, found := strings.CutPrefix(variable, "KONG_PREFIX="); found {
			return value
		}
	}
	return defaultPrefix
}

func only(allowed ...string) func(*Settings, string) error {
	return func(_ *Settings, value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("this stand-in for Kong only has %s", strings.Join(allowed, ", "))
		}
		return nil
	}
}

func anything(*Settings, string) error { return nil }

func logOf(field func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		*field(s) = value != "off"
		return only("/dev/stdout", "off")(s, value)
	}
}

func listens(field func(*Settings) *[]Listen) func(*Settings, string) error {
	return func(s *Settings, value string) (err error) {
		*field(s), err = parseListens(value)
		return err
	}
}

func readPortMaps(s *Settings, value string) error {
	s.PortMaps = map[int]int{}
	for _, pair := range Fields(value) {
		outer, inner, _ := strings.Cut(pair, ":")
		from, errFrom := strconv.Atoi(outer)
		to, errTo := strconv.Atoi(inner)
		if errFrom != nil || errTo != nil {
			return errors.New(`expected pairs like "80:8000, 443:8443"`)
		}
		s.PortMaps[to] = from
	}
	return nil
}

func readTrustedIPs(s *Settings, value string) error {
	for _, text := range Fields(value) {
		prefix, err := ParsePrefix(text)
		if err != nil {
			return err
		}
		s.TrustedIPs = append(s.TrustedIPs, prefix)
	}
	return nil
}

// sizes is a number of buffers of a size in bytes.
type sizes struct{ Number, Size int }

func sizeOf(field func(*Settings) *int) func(*Settings, string) error {
	return func(s *Settings, value string) (err error) {
		*field(s), err = parseSize(value)
		return err
	}
}

func sizesOf(field func(*Settings) *sizes) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		words := strings.Fields(value)
		if len(words) == 2 {
			number, err := strconv.Atoi(words[0])
			size, sizeErr := parseSize(words[1])
			if *field(s) = (sizes{number, size}); err == nil && sizeErr == nil && number > 0 {
				return nil
			}
		}
		return errors.New("expected a number and a size such as 4 8k")
	}
}

func parseSize(value string) (int, error) {
	unit := 1
	for suffix, bytes := range map[string]int{"k": 1 << 10, "m": 1 << 20} {
		if number, found := strings.CutSuffix(value, suffix); found {
			value, unit = number, bytes
		}
	}
	size, err := strconv.Atoi(value)
	if err != nil || size < 1 {
		return 0, errors.New("expected a size such as 8k or 1m")
	}
	return size * unit, nil
}

// check is nginx's own: room for two response heads must be left in all buffers but one.
func (s *Settings) check() error {
	busy := 2 * max(s.ResponseHeaders, s.proxyBuffers.Size)
	if busy > (s.proxyBuffers.Number-1)*s.proxyBuffers.Size {
		return errors.New("KONG_NGINX_PROXY_PROXY_BUFFERS: nginx wants them larger: \"proxy_busy_buffers_size\" must be less than " +
			"the size of all \"proxy_buffers\" minus one buffer")
	}
	return nil
}

func readHeaders(s *Settings, value string) error {
	s.Headers = map[string]bool{}
	tokens := map[string][]string{
		"server_tokens": {"server", "via"}, "off": nil,
		"latency_tokens": {"x-kong-proxy-latency", "x-kong-upstream-latency", "x-kong-response-latency"},
	}
	for _, name := range []string{"server", "via", "x-kong-proxy-latency", "x-kong-upstream-latency", "x-kong-response-latency", "x-kong-request-id"} {
		tokens[name] = []string{name}
	}
	for _, word := range Fields(value) {
		names, known := tokens[strings.ToLower(word)]
		if !known {
			return fmt.Errorf("invalid entry %q", word)
		}
		for _, name := range names {
			s.Headers[name] = true
		}
	}
	return nil
}

// ParsePrefix parses an address or a range in CIDR notation.
func ParsePrefix(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address and no CIDR", text)
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

func readInstrumentations(s *Settings, value string) error {
	s.Instrumentations = value
	return only("off", "request", "all")(s, value)
}

func readSamplingRate(s *Settings, value string) (err error) {
	if s.SamplingRate, err = strconv.ParseFloat(value, 64); err != nil || s.SamplingRate < 0 || s.SamplingRate > 1 {
		return errors.New("expected a number from 0 to 1")
	}
	return nil
}

func readWorkers(_ *Settings, value string) error {
	if count, err := strconv.Atoi(value); value != "auto" && (err != nil || count < 1) {
		return errors.New(`expected "auto" or a number`)
	}
	return nil
}

func Fields(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
}
