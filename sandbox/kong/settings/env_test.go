package settings

import (
	"slices"
	"strings"
	"testing"
)

var enough = []string{"KONG_DATABASE=off", "KONG_ROUTER_FLAVOR=traditional", "KONG_ADMIN_GUI_LISTEN=off"}

func TestSettingsHaveKongsDefaults(t *testing.T) {
	s, err := Read(enough)
	if err != nil {
		t.Fatal(err)
	}
	if s.RequestHeaders.Size != 8192 || s.RequestHeaders.Number != 4 || s.ResponseHeaders != 4096 || s.BodyBuffer != 8192 {
		t.Errorf("%+v", s)
	}
	for _, name := range []string{"server", "via", "x-kong-upstream-latency", "x-kong-request-id"} {
		if !s.Headers[name] {
			t.Errorf("%s is left out", name)
		}
	}
}

func TestASettingThatKongOrTheStandInLacksIsOneLine(t *testing.T) {
	for variable, message := range map[string]string{
		"KONG_TRUSTED_IP=10.0.0.0/8":                           "doesn't know the property",
		"KONG_DATABASE=postgres":                               "only has off",
		"KONG_HEADERS=X-Powered-By":                            `invalid entry "X-Powered-By"`,
		"KONG_NGINX_PROXY_PROXY_BUFFERS=2 4k":                  "nginx wants them larger",
		"KONG_NGINX_PROXY_PROXY_BUFFER_SIZE=32k":               "nginx wants them larger",
		"KONG_NGINX_PROXY_LARGE_CLIENT_HEADER_BUFFERS=16k":     "expected a number and a size",
		"KONG_NGINX_HTTP_CLIENT_BODY_BUFFER_SIZE=many":         "expected a size",
		"KONG_TRACING_SAMPLING_RATE=2":                         "expected a number from 0 to 1",
		"KONG_PROXY_LISTEN=0.0.0.0:8000 quic":                  `no listen parameter "quic"`,
		"KONG_TRUSTED_IPS=everyone":                            "no address and no CIDR",
		"KONG_REAL_IP_RECURSIVE=on":                            "only has off",
		"KONG_NGINX_PROXY_LARGE_CLIENT_HEADER_BUFFERS=none 8k": "expected a number and a size",
	} {
		_, err := Read(append(slices.Clone(enough), variable))
		if err == nil || !strings.Contains(err.Error(), message) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
