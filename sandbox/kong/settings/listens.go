package settings

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Listen is one entry of a KONG_..._LISTEN variable.
type Listen struct {
	Address                   string
	Ssl, Http2, ProxyProtocol bool
}

func parseListens(value string) ([]Listen, error) {
	if value == "off" {
		return nil, nil
	}
	var result []Listen
	for entry := range strings.SplitSeq(value, ",") {
		words := strings.Fields(entry)
		if len(words) == 0 {
			return nil, errors.New(`expected "off" or entries like "0.0.0.0:8000 ssl"`)
		}
		if _, _, err := net.SplitHostPort(words[0]); err != nil {
			return nil, err
		}
		one := Listen{Address: words[0]}
		for _, flag := range words[1:] {
			name, _, _ := strings.Cut(flag, "=")
			switch name {
			case "ssl":
				one.Ssl = true
			case "http2":
				one.Http2 = true
			case "proxy_protocol":
				one.ProxyProtocol = true
			case "reuseport", "backlog", "deferred", "bind": // tuning that changes no answer
			default:
				return nil, fmt.Errorf("this stand-in for Kong has no listen parameter %q", flag)
			}
		}
		result = append(result, one)
	}
	return result, nil
}

// DescribeListens is how the admin API shows listeners; the controller matches a Gateway's with them.
func DescribeListens(listens []Listen) []any {
	described := []any{}
	for _, l := range listens {
		ip, number, _ := net.SplitHostPort(l.Address)
		port, _ := strconv.Atoi(number)
		described = append(described, map[string]any{
			"ip": ip, "port": port, "listener": l.Address, "ssl": l.Ssl, "http2": l.Http2, "proxy_protocol": l.ProxyProtocol,
		})
	}
	return described
}
