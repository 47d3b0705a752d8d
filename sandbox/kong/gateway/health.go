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

// health is the state of a target according to its checks. A new target is healthy.
type health struct {
	failed atomic.Bool

	mutex                                      sync.Mutex
	successes, badStatuses, refusals, timeouts int // in a row
}

// checker runs the active checks of an upstream's targets: healthy and unhealthy ones each have an interval.
type checker struct {
	checks declarative.ActiveChecks
	done   chan struct{}

	mutex   sync.Mutex
	targets map[string]*health
}

// updateCheckers starts and stops checkers for a new configuration. Targets that stay keep their health.
func (g *Gateway) updateCheckers(s *Snapshot) {
	g.checking.Lock()
	defer g.checking.Unlock()
	current := map[string]*checker{}
	for name, b := range s.upstreams {
		if b.checks.Healthy.Interval == 0 && b.checks.Unhealthy.Interval == 0 {
			continue
		}
		c := g.checkers[name]
		if c == nil || !reflect.DeepEqual(c.checks, b.checks) {
			c = &checker{checks: b.checks, done: make(chan struct{}), targets: map[string]*health{}}
			go c.run(b.checks.Healthy.Interval, false)
			go c.run(b.checks.Unhealthy.Interval, true)
		}
		c.setTargets(b)
		current[name] = c
	}
	for name, c := range g.checkers {
		if current[name] != c {
			close(c.done)
		}
	}
	g.checkers = current
}

// setTargets replaces the checked targets by the balancer's, which share their health with the checker.
func (c *checker) setTargets(b *balancer) {
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

// run checks the healthy or the failed targets in an interval of seconds; 0 turns that off.
func (c *checker) run(interval float64, failed bool) {
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
			status, err := c.probe(address)
			if c.count(one, status, err) {
				log.Printf("[healthchecks] %s: failed=%t", address, one.failed.Load())
			}
		})
	}
	wait.Wait()
}

// probe requests the path of the checks from a target, and returns the status.
func (c *checker) probe(address string) (int, error) {
	timeout := time.Duration(c.checks.Timeout * float64(time.Second))
	conn, err := net.DialTimeout("tcp", address, timeout)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(timeout))
	fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", c.checks.HTTPPath, hostname(address))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	response.Body.Close()
	return response.StatusCode, nil
}

// count adds a check's outcome, and reports whether it has changed the target's state.
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
	if passed != h.failed.Load() { // Kong counts only outcomes that could change the state
		return false
	}
	if *counter++; *counter < limit {
		return false
	}
	h.failed.Store(!passed)
	*counter = 0
	return true
}
