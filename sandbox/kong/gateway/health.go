package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kong/declarative"
)

// health is what checks have found out about a target. A new one is healthy.
type health struct {
	failed atomic.Bool

	mutex                                      sync.Mutex
	successes, badStatuses, refusals, timeouts int // in a row
}

// checker asks the targets of an upstream: the healthy ones in one interval, the others in another.
type checker struct {
	checks declarative.ActiveChecks
	done   chan struct{}

	mutex   sync.Mutex
	targets map[string]*health
}

// follow has the checkers of an upstream's targets go on with a new configuration; what they know of a target stays.
func (g *Gateway) follow(s *Snapshot) {
	g.checking.Lock()
	defer g.checking.Unlock()
	kept := map[string]*checker{}
	for name, b := range s.upstreams {
		if b.checks.Healthy.Interval == 0 && b.checks.Unhealthy.Interval == 0 {
			continue
		}
		before := g.checkers[name]
		if before == nil || !reflect.DeepEqual(before.checks, b.checks) {
			before = &checker{checks: b.checks, done: make(chan struct{}), targets: map[string]*health{}}
			go before.every(b.checks.Healthy.Interval, false)
			go before.every(b.checks.Unhealthy.Interval, true)
		}
		before.take(b)
		kept[name] = before
	}
	for name, one := range g.checkers {
		if kept[name] != one {
			close(one.done)
		}
	}
	g.checkers = kept
}

// take checks the balancer's targets from now on, and tells the balancer.
func (c *checker) take(b *balancer) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	before := c.targets
	c.targets = map[string]*health{}
	for _, t := range b.targets {
		if known := before[t.address]; known != nil {
			t.health = known
		}
		c.targets[t.address] = t.health
	}
}

// every checks the targets of one state in an interval of seconds; 0: never.
func (c *checker) every(interval float64, failed bool) {
	if interval == 0 {
		return
	}
	ticker := time.NewTicker(time.Duration(interval * float64(time.Second)))
	defer ticker.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ticker.C:
			c.checkAll(failed)
		}
	}
}

func (c *checker) checkAll(failed bool) {
	c.mutex.Lock()
	due := map[string]*health{}
	for address, one := range c.targets {
		if one.failed.Load() == failed {
			due[address] = one
		}
	}
	c.mutex.Unlock()
	var wait sync.WaitGroup
	free := make(chan struct{}, c.checks.Concurrency)
	for address, one := range due {
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			status, err := c.ask(address)
			if c.count(one, status, err) {
				log.Printf("[healthchecks] %s: failed=%t", address, one.failed.Load())
			}
		})
	}
	wait.Wait()
}

func (c *checker) ask(address string) (int, error) {
	patience := time.Duration(c.checks.Timeout * float64(time.Second))
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", c.checks.HTTPPath, hostname(address))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	response.Body.Close()
	return response.StatusCode, nil
}

// count takes a check's outcome, and reports whether the target's state has changed by it.
func (c *checker) count(h *health, status int, err error) bool {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	var timeout net.Error
	counter, limit := &h.refusals, c.checks.Unhealthy.TCPFailures
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		counter, limit = &h.timeouts, c.checks.Unhealthy.Timeouts
	case err != nil:
	case slices.Contains(c.checks.Healthy.HTTPStatuses, status):
		counter, limit = &h.successes, c.checks.Healthy.Successes
	case slices.Contains(c.checks.Unhealthy.HTTPStatuses, status):
		counter, limit = &h.badStatuses, c.checks.Unhealthy.HTTPFailures
	default:
		return false
	}
	if limit == 0 {
		return false
	}
	passed := counter == &h.successes
	if passed {
		h.badStatuses, h.refusals, h.timeouts = 0, 0, 0
	} else {
		h.successes = 0
	}
	if passed != h.failed.Load() { // nothing new
		return false
	}
	if *counter++; *counter < limit {
		return false
	}
	h.failed.Store(!passed)
	*counter = 0
	return true
}
