// Command kong stands in for Kong Gateway's proxy: it takes Kong's declarative configuration from the Kong Ingress
// Controller over the admin API, routes by it, and refuses what it doesn't know. It never ignores configuration.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kong/gateway"
	"kong/plugins"
	"kong/settings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New("no command: this stand-in for Kong has docker-start, quit and version")
	}
	switch arguments[0] {
	case "docker-start":
		return serve()
	case "quit":
		return quit(arguments[1:])
	case "version":
		fmt.Println(settings.Version)
		return nil
	}
	return fmt.Errorf("unknown command %q: this stand-in for Kong has docker-start, quit and version", arguments[0])
}

// serve runs until SIGQUIT, which lets requests under way end, or SIGTERM, which doesn't.
func serve() error {
	settings, err := settings.Read(os.Environ())
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGINT)

	pid := pidFile(settings.Prefix)
	if err := os.MkdirAll(filepath.Dir(pid), 0o755); err != nil {
		return err
	}
	gateway := gateway.New(settings, plugins.All)
	if err := gateway.Restore(); err != nil {
		return err
	}
	servers, err := gateway.Listen()
	if err != nil {
		return err
	}
	if err := os.WriteFile(pid, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	defer os.Remove(pid)

	select {
	case err := <-servers.Failed:
		servers.Close()
		return err
	case received := <-signals:
		if received != syscall.SIGQUIT {
			servers.Close()
			return nil
		}
	}
	go func() { // a second signal ends the wait
		<-signals
		servers.Close()
	}()
	servers.Drain()
	return nil
}

// quit ends the gateway that runs with the same prefix: what a pod's preStop hook calls.
func quit(arguments []string) error {
	flags := flag.NewFlagSet("quit", flag.ContinueOnError)
	wait := flags.Int("wait", 0, "seconds before the shutdown begins")
	timeout := flags.Int("timeout", 10, "seconds for requests under way, then the shutdown is forced")
	prefix := flags.String("prefix", settings.PrefixOf(os.Environ()), "prefix directory")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	path := pidFile(*prefix)
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("nginx not running in prefix: %s", *prefix)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("%s holds no process id", path)
	}
	time.Sleep(time.Duration(*wait) * time.Second)
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		return fmt.Errorf("no process %d: %w", pid, err)
	}
	for end := time.Now().Add(time.Duration(*timeout) * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			fmt.Println("Kong stopped (gracefully)")
			return nil
		}
		if syscall.Kill(pid, 0) != nil {
			return fmt.Errorf("process %d ended without tidying up", pid)
		}
	}
	fmt.Println("Timeout, Kong stopped forcefully")
	return syscall.Kill(pid, syscall.SIGTERM)
}

func pidFile(prefix string) string {
	return filepath.Join(prefix, "pids", "nginx.pid")
}
