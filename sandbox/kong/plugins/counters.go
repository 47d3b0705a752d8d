package plugins

import (
	"net"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	"kong/gateway"
)

// localCounters are this gateway's own. They outlive configurations.
type localCounters struct {
	mutex  sync.Mutex
	counts map[string]*usage
}

type usage struct {
	times int
	ends  time.Time
}

var localCounts = &localCounters{counts: map[string]*usage{}}

func (l *localCounters) take(windows []*window) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, w := range windows {
		if found := l.counts[w.counter]; found != nil {
			w.used = found.times
		}
	}
	if exceeded(windows) != nil {
		return nil
	}
	if len(l.counts) > 10000 {
		for name, one := range l.counts {
			if one.ends.Before(time.Now()) {
				delete(l.counts, name)
			}
		}
	}
	for _, w := range windows {
		l.counts[w.counter] = &usage{w.used + 1, w.begin.Add(time.Duration(w.length) * time.Second)}
	}
	return nil
}

// redisServer keeps the counters of several gateways. Its fields are the plugin's.
type redisServer struct {
	Host     string `json:"host"`
	Port     int    `json:"port" range:"0,65535"`
	Timeout  int    `json:"timeout"` // milliseconds
	Password string `json:"password"`
}

// countOnce is one window's step in Redis: Kong counts before it decides, so refused requests count as well.
const countOnce = `local count = redis.call("incr", KEYS[1])
if count == 1 then redis.call("expire", KEYS[1], ARGV[1]) end
return count - 1`

func (r redisServer) take(windows []*window) error {
	timeout := time.Duration(r.Timeout) * time.Millisecond
	conn, err := redis.Dial("tcp", net.JoinHostPort(r.Host, gateway.Port(r.Port)), redis.DialPassword(r.Password),
		redis.DialConnectTimeout(timeout), redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout))
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, w := range windows {
		if w.used, err = redis.Int(conn.Do("EVAL", countOnce, 1, w.counter, w.length)); err != nil {
			return err
		}
	}
	return nil
}
