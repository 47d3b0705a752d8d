package plugins

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

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
	Host       string `json:"host"`
	Port       int    `json:"port" range:"0,65535"`
	Timeout    int    `json:"timeout"` // milliseconds
	Username   string `json:"username"`
	Password   string `json:"password"`
	Database   int    `json:"database"`
	SSL        bool   `json:"ssl"`
	SSLVerify  bool   `json:"ssl_verify"`
	ServerName string `json:"server_name"`
}

// countOnce is one window's step in Redis: Kong counts before it decides, so refused requests count as well.
const countOnce = `local count = redis.call("incr", KEYS[1])
if count == 1 then redis.call("expire", KEYS[1], ARGV[1]) end
return count - 1`

func (r redisServer) take(windows []*window) error {
	conn, err := r.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	var commands [][]string
	if r.Password != "" {
		auth := []string{"AUTH", r.Password}
		if r.Username != "" {
			auth = []string{"AUTH", r.Username, r.Password}
		}
		commands = append(commands, auth)
	}
	if r.Database != 0 {
		commands = append(commands, []string{"SELECT", strconv.Itoa(r.Database)})
	}
	before := len(commands)
	for _, w := range windows {
		commands = append(commands, []string{"EVAL", countOnce, "1", w.counter, strconv.Itoa(w.length)})
	}
	replies, err := ask(conn, bufio.NewReader(conn), commands)
	if err != nil {
		return err
	}
	for i, w := range windows {
		if w.used, err = strconv.Atoi(replies[before+i]); err != nil {
			return err
		}
	}
	return nil
}

func (r redisServer) dial() (net.Conn, error) {
	patience := time.Duration(r.Timeout) * time.Millisecond
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(r.Host, gateway.Port(r.Port)), patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	if r.SSL {
		return tls.Client(conn, &tls.Config{ServerName: cmp.Or(r.ServerName, r.Host), InsecureSkipVerify: !r.SSLVerify}), nil
	}
	return conn, nil
}

// ask sends commands in Redis's protocol (RESP) and reads a reply to each: a status, a number, or a string.
func ask(to io.Writer, from *bufio.Reader, commands [][]string) ([]string, error) {
	var request strings.Builder
	for _, command := range commands {
		fmt.Fprintf(&request, "*%d\r\n", len(command))
		for _, word := range command {
			fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	if _, err := io.WriteString(to, request.String()); err != nil {
		return nil, err
	}
	var replies []string
	for range commands {
		line, err := from.ReadString('\n')
		if err != nil {
			return nil, err
		}
		kind, rest := line[0], strings.TrimSpace(line[1:])
		switch kind {
		case '-':
			return nil, errors.New("redis: " + rest)
		case '$':
			length, _ := strconv.Atoi(rest)
			rest = ""
			if length >= 0 { // -1: there is none
				content := make([]byte, length+2)
				if _, err := io.ReadFull(from, content); err != nil {
					return nil, err
				}
				rest = string(content[:length])
			}
		}
		replies = append(replies, rest)
	}
	return replies, nil
}
