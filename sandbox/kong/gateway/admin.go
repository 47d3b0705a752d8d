package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"kong/declarative"
	"kong/settings"
)

// dumps are the lists that the controller reads to learn the configuration that a running gateway has: a path of the
// admin API to the collection behind it. Collections that the stand-in lacks are always empty.
var dumps = map[string]string{
	"services": "services", "routes": "routes", "plugins": "plugins", "upstreams": "upstreams", "certificates": "certificates",
	"snis": "snis", "consumers": "consumers", "jwts": "jwt_secrets", "acls": "acls", "key-auths": "keyauth_credentials",
	"consumer_groups": "", "hmac-auths": "",
	"basic-auths": "", "oauth2": "", "ca_certificates": "", "vaults": "",
}

// admin is the part of Kong's admin API that the Kong Ingress Controller uses.
func (g *Gateway) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		host, _ := os.Hostname()
		reply(w, http.StatusOK, map[string]any{
			"version": settings.Version, "hostname": host, "tagline": "Welcome to kong (a stand-in)",
			"configuration": map[string]any{
				"database": "off", "router_flavor": "traditional",
				"proxy_listeners": settings.DescribeListens(g.Settings.ProxyListen), "stream_listeners": []any{},
			},
		})
	})
	mux.Handle("GET /status", g.status())
	mux.HandleFunc("POST /config", g.configure)
	mux.HandleFunc("GET /schemas/plugins/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !g.kinds.Has(r.PathValue("name")) {
			reply(w, http.StatusNotFound, Message("No plugin named '"+r.PathValue("name")+"'"))
			return
		}
		// The controller fills in the defaults that it finds here. The stand-in has its own.
		config := map[string]any{"type": "record", "required": true, "fields": []any{}}
		reply(w, http.StatusOK, map[string]any{"fields": []any{
			map[string]any{"protocols": map[string]any{"type": "set", "default": []string{"grpc", "grpcs", "http", "https"}}},
			map[string]any{"config": config},
		}})
	})
	for path, collection := range dumps {
		mux.HandleFunc("GET /"+path, func(w http.ResponseWriter, _ *http.Request) {
			list(w, g.current.Load().entities[collection])
		})
	}
	mux.HandleFunc("GET /upstreams/{id}/targets", func(w http.ResponseWriter, r *http.Request) {
		var found []declarative.Entity
		for _, one := range g.current.Load().entities["targets"] {
			if one.(*declarative.TargetEntity).Upstream.Key == r.PathValue("id") {
				found = append(found, one)
			}
		}
		list(w, found)
	})
	mux.HandleFunc("/", notFound)
	return mux
}

// configure applies a whole configuration, or none of it.
func (g *Gateway) configure(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		reply(w, http.StatusBadRequest, Message(err.Error()))
		return
	}
	defer func() {
		switch recovered := recover().(type) {
		case nil:
		case declarative.SchemaCrash:
			reply(w, http.StatusInternalServerError, Message("An unexpected error occurred"))
		default:
			panic(recovered)
		}
	}()
	loaded, refused := declarative.Load(body, g.kinds)
	if refused != nil {
		reply(w, http.StatusBadRequest, refused)
		return
	}
	if r.URL.Query().Get("check_hash") == "1" && loaded.Hash == g.current.Load().hash {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if err := g.keep(body); err != nil {
		reply(w, http.StatusInternalServerError, Message(err.Error()))
		return
	}
	g.serve(loaded)
	reply(w, http.StatusCreated, map[string]any{})
}

func (g *Gateway) serve(loaded *declarative.Document) {
	next := newSnapshot(loaded, g.kinds)
	g.updateCheckers(next)
	g.current.Store(next)
}

// keptFile holds the last configuration, as Kong's LMDB does in DB-less mode: a restarted gateway serves it again. In a
// pod it lasts as long as the pod.
func (g *Gateway) keptFile() string { return filepath.Join(g.Settings.Prefix, "configuration.json") }

// keep replaces the file at once: a gateway that is killed meanwhile starts with the one before.
func (g *Gateway) keep(body []byte) error {
	partial := g.keptFile() + ".partial"
	if err := os.WriteFile(partial, body, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, g.keptFile())
}

// Restore applies the configuration of an earlier process with the same prefix, if there is one.
func (g *Gateway) Restore() error {
	body, err := os.ReadFile(g.keptFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	loaded, refused := declarative.Load(body, g.kinds)
	if refused != nil {
		return errors.New(refused.Message)
	}
	g.serve(loaded)
	return nil
}

// status is the API for probes: live from the start, ready with the first configuration.
func (g *Gateway) status() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		reply(w, http.StatusOK, map[string]any{
			"configuration_hash": g.current.Load().hash,
			"memory":             map[string]any{"heap_bytes": memory.HeapAlloc},
			"server":             map[string]any{"uptime_seconds": int(time.Since(g.started).Seconds())},
		})
	})
	mux.HandleFunc("GET /status/ready", func(w http.ResponseWriter, _ *http.Request) {
		if strings.Trim(g.current.Load().hash, "0") == "" {
			reply(w, http.StatusServiceUnavailable, Message("no configuration available (empty configuration present)"))
			return
		}
		reply(w, http.StatusOK, Message("ready"))
	})
	mux.HandleFunc("GET /metrics", g.expose)
	mux.HandleFunc("/", notFound)
	return mux
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusNotFound, Message("Not found"))
}

func Message(text string) map[string]string { return map[string]string{"message": text} }

func list(w http.ResponseWriter, entities []declarative.Entity) {
	reply(w, http.StatusOK, map[string]any{"data": append([]declarative.Entity{}, entities...), "next": nil})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Server", "kong/"+settings.Version)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func logged(handler http.Handler, enabled bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writer := &recorder{ResponseWriter: w}
		handler.ServeHTTP(writer, r)
		writer.log(enabled, addressOf(r.Context().Value(connKey).(net.Conn).RemoteAddr()), r, "")
	})
}
