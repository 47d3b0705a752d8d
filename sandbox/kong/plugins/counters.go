package plugins

import (
	"bufio"
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
	Host    string `json:"host"`
	Port    int    `json:"port" range:"0,65535"`
	Timeout int    `json:"timeout"` // milliseconds
}

// countOnce is one window's step in Redis: Kong counts before it decides, so refused requests count as well.
const countOnce = `local count = redis.call("incr", KEYS[1])
if count == 1 then redis.call("expire", KEYS[1], ARGV[1]) end
return count - 1`

func (r redisServer) take(windows []*window) error {
	patience := time.Duration(r.Timeout) * time.Millisecond
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(r.Host, gateway.Port(r.Port)), patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	var commands [][]string
	for _, w := range windows {
		commands = append(commands, []string{"EVAL", countOnce, "1", w.counter, strconv.Itoa(w.length)})
	}
	counts, err := ask(conn, bufio.NewReader(conn), commands)
	for i := range counts {
		windows[i].used = counts[i]
	}
	return err
}

// ask sends commands in Redis's protocol (RESP) and reads the number with which each is answered.
func ask(to io.Writer, from *bufio.Reader, commands [][]string) ([]int, error) {
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
	var numbers []int
	for range commands {
		reply, err := from.ReadString('\n')
		if err != nil {
			return nil, err
		}
		number, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(reply), ":"))
		if err != nil {
			return nil, errors.New("redis: " + strings.TrimSpace(reply))
		}
		numbers = append(numbers, number)
	}
	return numbers, nil
}
