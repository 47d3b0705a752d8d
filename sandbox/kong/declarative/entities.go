package declarative

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The entities of Kong's declarative format, with Kong's defaults where `new` sets them. A field that isn't here is
// refused, so that the stand-in never accepts configuration that it ignores.

// identity holds the fields of every entity.
type identity struct {
	ID   string   `json:"id"`
	Tags []string `json:"tags,omitempty"`
}

func (i *identity) Common() *identity        { return i }
func (i *identity) references() []*reference { return nil }

type Entity interface {
	Common() *identity
	naturalKey() string       // natural and unique in its collection; empty when it has none
	references() []*reference // to other entities
	check(*Faults)
}

// reference names another entity by id or by natural key; once resolved, by id.
type reference struct {
	to  string // collection
	Key string
}

func (r *reference) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &r.Key) == nil {
		return nil
	}
	var object map[string]string
	if json.Unmarshal(data, &object) != nil || len(object) != 1 {
		return errors.New("expected a name or an object with an id")
	}
	for _, name := range []string{"id", "name"} {
		r.Key += object[name]
	}
	return nil
}

func (r reference) MarshalJSON() ([]byte, error) {
	if r.Key == "" {
		return []byte("null"), nil
	}
	return json.Marshal(map[string]string{"id": r.Key})
}

// Faults collects the errors of one entity in Kong's wording.
type Faults []fault

type fault struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Type    string `json:"type"`
}

func (f *Faults) Add(field, message string) { *f = append(*f, fault{field, message, "field"}) }

func (f *Faults) oneOf(field, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		f.Add(field, "expected one of: "+strings.Join(allowed, ", ")+" (all that this stand-in for Kong has)")
	}
}

func (f *Faults) between(field string, value, low, high int) {
	if value < low || value > high {
		f.Add(field, "value should be between "+strconv.Itoa(low)+" and "+strconv.Itoa(high))
	}
}

func (f *Faults) required(field, value string) {
	if value == "" {
		f.Add(field, "required field missing")
	}
}

type Service struct {
	identity
	Name           string `json:"name,omitempty"`
	Protocol       string `json:"protocol"`
	Host           string `json:"host"`
	Port           int    `json:"port"`
	Path           string `json:"path,omitempty"`
	Retries        int    `json:"retries"`
	ConnectTimeout int    `json:"connect_timeout"` // milliseconds, as the next two
	ReadTimeout    int    `json:"read_timeout"`
	WriteTimeout   int    `json:"write_timeout"`
	Enabled        bool   `json:"enabled"`
}

func newService() Entity {
	return &Service{Protocol: "http", Port: 80, Retries: 5, ConnectTimeout: 60000, ReadTimeout: 60000, WriteTimeout: 60000, Enabled: true}
}

func (s *Service) naturalKey() string { return s.Name }
func (s *Service) check(f *Faults) {
	f.required("host", s.Host)
	f.oneOf("protocol", s.Protocol, "http", "grpc")
	if s.Protocol == "grpc" && s.Path != "" {
		f.Add("path", "value must be null")
	}
	f.between("port", s.Port, 0, 65535)
	f.between("retries", s.Retries, 0, 32767)
	for field, value := range map[string]int{"connect_timeout": s.ConnectTimeout, "read_timeout": s.ReadTimeout, "write_timeout": s.WriteTimeout} {
		f.between(field, value, 1, 2147483646)
	}
	if s.Path != "" && s.Path[0] != '/' {
		f.Add("path", "should start with: /")
	}
}

type Route struct {
	identity
	Name                    string              `json:"name,omitempty"`
	Service                 reference           `json:"service"`
	Protocols               []string            `json:"protocols"`
	Hosts                   []string            `json:"hosts,omitempty"`
	Paths                   []string            `json:"paths,omitempty"`
	Headers                 map[string][]string `json:"headers,omitempty"`
	RegexPriority           int                 `json:"regex_priority"`
	StripPath               *bool               `json:"strip_path"` // nil until it is checked: true, but for gRPC
	PreserveHost            bool                `json:"preserve_host"`
	PathHandling            string              `json:"path_handling"`
	HTTPSRedirectStatusCode int                 `json:"https_redirect_status_code"`
	// Bodies are streamed either way, which a client can't tell.
	RequestBuffering  bool `json:"request_buffering"`
	ResponseBuffering bool `json:"response_buffering"`
}

func newRoute() Entity {
	return &Route{
		Service: reference{to: "services"}, Protocols: []string{"http", "https"}, PathHandling: "v0",
		HTTPSRedirectStatusCode: 426, RequestBuffering: true, ResponseBuffering: true,
	}
}

func (r *Route) naturalKey() string       { return r.Name }
func (r *Route) references() []*reference { return []*reference{&r.Service} }
func (r *Route) check(f *Faults) {
	overGRPC := 0
	for _, protocol := range r.Protocols {
		f.oneOf("protocols", protocol, "http", "https", "grpc", "grpcs")
		if strings.HasPrefix(protocol, "grpc") {
			overGRPC++
		}
	}
	if overGRPC > 0 && overGRPC < len(r.Protocols) {
		f.Add("protocols", "('http', 'https'), ('grpc', 'grpcs'): no protocols of both sets")
	}
	if r.StripPath == nil {
		r.StripPath = new(bool)
		*r.StripPath = overGRPC == 0
	}
	if overGRPC > 0 && *r.StripPath {
		f.Add("strip_path", "cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'")
	}
	f.oneOf("path_handling", r.PathHandling, "v0")
	if !slices.Contains([]int{426, 301, 302, 307, 308}, r.HTTPSRedirectStatusCode) {
		f.Add("https_redirect_status_code", "expected one of: 426, 301, 302, 307, 308")
	}
	if len(r.Hosts)+len(r.Paths)+len(r.Headers) == 0 {
		f.Add("@entity", "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'")
	}
	for _, host := range r.Hosts {
		if host == "" || strings.Contains(host, ":") || strings.Count(host, "*") > 1 ||
			strings.Contains(strings.TrimSuffix(strings.TrimPrefix(host, "*."), ".*"), "*") {
			f.Add("hosts", "invalid hostname: "+host)
		}
	}
	for _, path := range r.Paths {
		if pattern, regex := strings.CutPrefix(path, "~"); regex {
			if _, err := CompilePath(pattern); err != nil {
				f.Add("paths", "invalid regex: "+err.Error())
			}
		} else if path == "" || path[0] != '/' {
			f.Add("paths", "should start with: / (fixed path) or ~/ (regex path)")
		}
	}
	for name, values := range r.Headers {
		if strings.EqualFold(name, "host") {
			f.Add("headers", "cannot contain 'host' header, which must be specified in the 'hosts' attribute")
		}
		if len(values) == 1 && strings.HasPrefix(values[0], "~*") {
			f.Add("headers", "this stand-in for Kong has no patterns of headers")
		}
	}
}

type Certificate struct {
	identity
	Cert   string          `json:"cert"`
	Key    string          `json:"key"`
	Parsed tls.Certificate `json:"-"`
}

func newCertificate() Entity { return &Certificate{} }

func (c *Certificate) naturalKey() string { return c.Cert }
func (c *Certificate) check(f *Faults) {
	var err error
	if c.Parsed, err = tls.X509KeyPair([]byte(c.Cert), []byte(c.Key)); err != nil {
		f.Add("cert", "invalid certificate or key: "+err.Error())
	}
}

type Sni struct {
	identity
	Name        string    `json:"name"`
	Certificate reference `json:"certificate"`
}

func newSNI() Entity { return &Sni{Certificate: reference{to: "certificates"}} }

func (s *Sni) naturalKey() string       { return s.Name }
func (s *Sni) references() []*reference { return []*reference{&s.Certificate} }
func (s *Sni) check(f *Faults) {
	f.required("name", s.Name)
	if s.Certificate.Key == "" {
		f.Add("certificate", "required field missing")
	}
}

// CompilePath compiles a route's pattern, which has to match from the path's beginning.
func CompilePath(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile("(?s)^(?:" + pattern + ")")
}
