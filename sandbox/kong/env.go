package main

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

// settings are what KONG_ variables say, Kong's defaults where they say nothing.
type settings struct {
	proxyListen, adminListen, statusListen []listen
	proxyLog, adminLog, statusLog          bool
	prefix                                 string
	portMaps                               map[int]int // a port of this process to the port that clients see
	realIPHeader                           string
	realIPRecursive                        bool
	trustedIPs                             []netip.Prefix
	bodyBuffer                             int     // bytes of a request's body that plugins get to see; of a longer one, none
	instrumentations                       string  // which spans there are: off, request or all
	samplingRate                           float64 // of traces, unless a plugin has its own
}

type property struct {
	fallback string
	read     func(*settings, string) error
}

const defaultPrefix = "/usr/local/kong"

// properties is every property that the stand-in reads. Those with `only` are known, and refused unless they have a
// value under which their absence here makes no difference.
var properties = map[string]property{
	"database":      {"postgres", only("off")},
	"router_flavor": {"traditional_compatible", only("traditional")},
	"prefix":        {defaultPrefix, func(s *settings, v string) error { s.prefix = v; return nil }},

	"proxy_listen":  {"0.0.0.0:8000, 0.0.0.0:8443 http2 ssl", listens(func(s *settings) *[]listen { return &s.proxyListen })},
	"admin_listen":  {"127.0.0.1:8001, 127.0.0.1:8444 http2 ssl", listens(func(s *settings) *[]listen { return &s.adminListen })},
	"status_listen": {"127.0.0.1:8007", listens(func(s *settings) *[]listen { return &s.statusListen })},
	// Kong Manager listens on every address unless it is told not to.
	"admin_gui_listen": {"0.0.0.0:8002, 0.0.0.0:8445 ssl", only("off")},
	"cluster_listen":   {"off", only("off")},
	"stream_listen":    {"off", only("off")},
	"port_maps":        {"", readPortMaps},

	"real_ip_header":    {"X-Real-IP", func(s *settings, v string) error { s.realIPHeader = v; return nil }},
	"real_ip_recursive": {"off", flagOf(func(s *settings) *bool { return &s.realIPRecursive })},
	"trusted_ips":       {"", readTrustedIPs},

	"proxy_access_log":  {"/dev/stdout", logOf(func(s *settings) *bool { return &s.proxyLog })},
	"admin_access_log":  {"/dev/stdout", logOf(func(s *settings) *bool { return &s.adminLog })},
	"status_access_log": {"off", logOf(func(s *settings) *bool { return &s.statusLog })},
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
	"nginx_http_client_body_buffer_size": {"8k", readBodyBuffer},
	"nginx_worker_processes":             {"auto", readWorkers}, // Go's scheduler follows the container's CPU limit by itself
	"plugins":                            {"bundled", only("bundled")},
	"tracing_instrumentations":           {"off", readInstrumentations},
	"tracing_sampling_rate":              {"0.01", readSamplingRate},
}

// serviceLink matches the variables that Kubernetes sets for Services whose name begins with "kong".
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT(_\d+_(TCP|UDP)(_PROTO|_PORT|_ADDR)?)?$`)

func readSettings(environment []string) (*settings, error) {
	values := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		name, ours := strings.CutPrefix(name, "KONG_")
		if !ours || serviceLink.MatchString(name) {
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
	result := &settings{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, set := values[name]
		if !set {
			value = properties[name].fallback
		}
		if err := properties[name].read(result, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("KONG_%s=%q: %w", strings.ToUpper(name), value, err)
		}
	}
	return result, nil
}

func prefixOf(environment []string) string {
	for _, variable := range environment {
		if value, found := strings.CutPrefix(variable, "KONG_PREFIX="); found {
			return value
		}
	}
	return defaultPrefix
}

func only(allowed ...string) func(*settings, string) error {
	return func(_ *settings, value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("this stand-in for Kong only has %s", strings.Join(allowed, ", "))
		}
		return nil
	}
}

func anything(*settings, string) error { return nil }

func flagOf(field func(*settings) *bool) func(*settings, string) error {
	return func(s *settings, value string) error {
		*field(s) = value == "on"
		return only("on", "off")(s, value)
	}
}

func logOf(field func(*settings) *bool) func(*settings, string) error {
	return func(s *settings, value string) error {
		*field(s) = value != "off"
		return only("/dev/stdout", "off")(s, value)
	}
}

func listens(field func(*settings) *[]listen) func(*settings, string) error {
	return func(s *settings, value string) (err error) {
		*field(s), err = parseListens(value)
		return err
	}
}

func readPortMaps(s *settings, value string) error {
	s.portMaps = map[int]int{}
	for _, pair := range fields(value) {
		outer, inner, _ := strings.Cut(pair, ":")
		from, errFrom := strconv.Atoi(outer)
		to, errTo := strconv.Atoi(inner)
		if errFrom != nil || errTo != nil {
			return errors.New(`expected pairs like "80:8000, 443:8443"`)
		}
		s.portMaps[to] = from
	}
	return nil
}

func readTrustedIPs(s *settings, value string) error {
	for _, text := range fields(value) {
		prefix, err := parsePrefix(text)
		if err != nil {
			return err
		}
		s.trustedIPs = append(s.trustedIPs, prefix)
	}
	return nil
}

func readBodyBuffer(s *settings, value string) (err error) {
	unit := 1
	for suffix, bytes := range map[string]int{"k": 1 << 10, "m": 1 << 20} {
		if number, found := strings.CutSuffix(value, suffix); found {
			value, unit = number, bytes
		}
	}
	if s.bodyBuffer, err = strconv.Atoi(value); err != nil || s.bodyBuffer < 1 {
		return errors.New("expected a size such as 8k or 1m")
	}
	s.bodyBuffer *= unit
	return nil
}

// parsePrefix takes an address for a range of its own.
func parsePrefix(text string) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no address and no CIDR", text)
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

func readInstrumentations(s *settings, value string) error {
	s.instrumentations = value
	return only("off", "request", "all")(s, value)
}

func readSamplingRate(s *settings, value string) (err error) {
	if s.samplingRate, err = strconv.ParseFloat(value, 64); err != nil || s.samplingRate < 0 || s.samplingRate > 1 {
		return errors.New("expected a number from 0 to 1")
	}
	return nil
}

func readWorkers(_ *settings, value string) error {
	if count, err := strconv.Atoi(value); value != "auto" && (err != nil || count < 1) {
		return errors.New(`expected "auto" or a number`)
	}
	return nil
}

func fields(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' })
}
