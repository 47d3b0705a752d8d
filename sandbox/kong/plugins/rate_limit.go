package plugins

import (
	"cmp"
	"fmt"
	"log"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kong/declarative"
	"kong/gateway"
)

type rateLimit struct {
	Second        *int        `json:"second" range:"1,1e15"`
	Minute        *int        `json:"minute" range:"1,1e15"`
	Hour          *int        `json:"hour" range:"1,1e15"`
	Day           *int        `json:"day" range:"1,1e15"`
	Month         *int        `json:"month" range:"1,1e15"`
	Year          *int        `json:"year" range:"1,1e15"`
	LimitBy       string      `json:"limit_by" oneof:"consumer,ip,service,header"`
	HeaderName    string      `json:"header_name"`
	Policy        string      `json:"policy" oneof:"local,redis"` // a gateway without a database has no other
	FaultTolerant bool        `json:"fault_tolerant"`
	Redis         redisServer `json:"redis"`
}

var rateLimitDefaults = rateLimit{
	LimitBy: "consumer", Policy: "local", FaultTolerant: true, Redis: redisServer{Port: 6379, Timeout: 2000},
}

// window is the time over which a limit counts. Windows are aligned to UTC; they don't slide.
type window struct {
	name    string
	limit   int
	length  int // seconds
	begin   time.Time
	used    int
	counter string
}

func (c *rateLimit) windows(now time.Time) []*window {
	now = now.UTC()
	year, month, day := now.Date()
	var result []*window
	for _, one := range []struct {
		limit  *int
		name   string
		length int
		begin  time.Time
	}{
		{c.Second, "Second", 1, now.Truncate(time.Second)},
		{c.Minute, "Minute", 60, now.Truncate(time.Minute)},
		{c.Hour, "Hour", 3600, now.Truncate(time.Hour)},
		{c.Day, "Day", 86400, time.Date(year, month, day, 0, 0, 0, 0, time.UTC)},
		{c.Month, "Month", 2592000, time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)},
		{c.Year, "Year", 31536000, time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if one.limit != nil {
			result = append(result, &window{name: one.name, limit: *one.limit, length: one.length, begin: one.begin})
		}
	}
	return result
}

// counters hold the number of requests in each window.
type counters interface {
	// take sets `used` of every window to its count before this request, then increments the counts: local counters
	// only if no window is exhausted, Redis always.
	take([]*window) error
}

// exceeded is the longest window that is exhausted, if one is.
func exceeded(windows []*window) (over *window) {
	for _, w := range windows {
		if w.used >= w.limit {
			over = w
		}
	}
	return over
}

func newRateLimit(c *rateLimit, of *declarative.PluginEntity, faults *declarative.Faults) gateway.Handler {
	all := c.windows(time.Time{})
	if len(all) == 0 {
		faults.Add("config", "at least one of these fields must be non-empty: 'second', 'minute', 'hour', 'day', 'month', 'year'")
	}
	for i := range all[:max(0, len(all)-1)] {
		if all[i].limit > all[i+1].limit {
			faults.Add("config", fmt.Sprintf("The limit for %s(%d.0) cannot be lower than the limit for %s(%d.0)",
				strings.ToLower(all[i+1].name), all[i+1].limit, strings.ToLower(all[i].name), all[i].limit))
		}
	}
	if c.LimitBy == "header" && c.HeaderName == "" {
		faults.Add("config", "required field missing: what to limit by header")
	}
	if c.Policy == "redis" && c.Redis.Host == "" {
		faults.Add("config.redis.host", "required field missing")
	}
	return gateway.Handler{Access: func(x *gateway.Exchange) { c.access(x, of) }}
}

func (c *rateLimit) access(x *gateway.Exchange, of *declarative.PluginEntity) {
	now := time.Now()
	windows := c.windows(now)
	for _, w := range windows {
		w.counter = strings.Join([]string{"ratelimit", of.Route.Key, c.identifier(x), strconv.FormatInt(w.begin.Unix(), 10), w.name}, ":")
	}
	var store counters = localCounts
	if c.Policy == "redis" {
		store = c.Redis
	}
	if err := store.take(windows); err != nil {
		log.Printf("failed to get usage: %s", err)
		if !c.FaultTolerant {
			x.Fail(http.StatusInternalServerError, "An unexpected error occurred")
		}
		return
	}
	over := exceeded(windows)
	if c.setHeaders(x, windows, over, now); over != nil {
		x.Fail(http.StatusTooManyRequests, "API rate limit exceeded")
	}
}

// identifier is the identity that a limit counts: by default the client's address.
func (c *rateLimit) identifier(x *gateway.Exchange) string {
	identifier := ""
	switch {
	case c.LimitBy == "consumer" && x.Consumer != nil:
		identifier = x.Consumer.ID
	case c.LimitBy == "service" && x.Service != nil:
		identifier = x.Service.ID
	case c.LimitBy == "header":
		identifier = x.Request.Header.Get(c.HeaderName)
	}
	return cmp.Or(identifier, x.Client.String())
}

// setHeaders sets the rate-limit headers of the response. The general ones are about the window with the least remaining.
func (c *rateLimit) setHeaders(x *gateway.Exchange, windows []*window, over *window, now time.Time) {
	var tightest *window
	least := 0
	for _, w := range windows {
		remaining := w.limit - w.used
		if over == nil || over == w {
			remaining--
		}
		remaining = max(0, remaining)
		x.Told.Set("X-RateLimit-Limit-"+w.name, strconv.Itoa(w.limit))
		x.Told.Set("X-RateLimit-Remaining-"+w.name, strconv.Itoa(remaining))
		if tightest == nil || remaining < least || remaining == least && w.length > tightest.length {
			tightest, least = w, remaining
		}
	}
	reset := strconv.Itoa(max(1, tightest.length-int(now.Sub(tightest.begin).Seconds())))
	x.Told.Set("RateLimit-Limit", strconv.Itoa(tightest.limit))
	x.Told.Set("RateLimit-Remaining", strconv.Itoa(least))
	x.Told.Set("RateLimit-Reset", reset)
	if over != nil {
		x.Told.Set("Retry-After", reset)
	}
}
