package main

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
)

type correlationID struct {
	HeaderName     string `json:"header_name"`
	Generator      string `json:"generator" oneof:"uuid,uuid#counter"`
	EchoDownstream bool   `json:"echo_downstream"`
}

// newCorrelationID gives every request an id, unless it has one.
func newCorrelationID(c *correlationID, _ *pluginEntity, _ *faults) handler {
	prefix := uuid()
	var counter atomic.Int64
	h := handler{access: func(x *exchange) {
		if x.request.Header.Get(c.HeaderName) != "" {
			return
		}
		id := uuid()
		if c.Generator == "uuid#counter" {
			id = fmt.Sprintf("%s#%d", prefix, counter.Add(1))
		}
		x.request.Header.Set(c.HeaderName, id)
	}}
	if c.EchoDownstream {
		h.header = func(x *exchange, header http.Header) {
			if id := x.request.Header.Get(c.HeaderName); id != "" {
				header.Set(c.HeaderName, id)
			}
		}
	}
	return h
}

func uuid() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

type termination struct {
	StatusCode  int    `json:"status_code" range:"100,599"`
	Message     string `json:"message"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
}

var terminationTexts = map[int]string{
	401: "Unauthorized", 404: "Not found", 405: "Method not allowed", 500: "An unexpected error occurred", 502: "Bad Gateway",
	503: "Service unavailable",
}

// newTermination answers every request itself.
func newTermination(c *termination, _ *pluginEntity, wrong *faults) handler {
	if c.Message != "" && c.Body != "" {
		wrong.add("config", "message cannot be used with content_type or body")
	}
	return handler{access: func(x *exchange) {
		if c.Body == "" {
			text := c.Message
			if text == "" {
				text = terminationTexts[c.StatusCode]
			}
			if text == "" {
				x.exit(c.StatusCode, nil, nil)
			} else {
				x.exit(c.StatusCode, message(text), nil)
			}
			return
		}
		kind := c.ContentType
		if kind == "" {
			kind = "application/json; charset=utf-8"
		}
		x.Header().Set("Content-Type", kind)
		x.answer(c.StatusCode, c.Body)
	}}
}

type redirect struct {
	StatusCode       int    `json:"status_code" range:"100,599"`
	Location         string `json:"location" need:"yes"`
	KeepIncomingPath bool   `json:"keep_incoming_path"`
}

// newRedirect sends every client elsewhere.
func newRedirect(c *redirect, _ *pluginEntity, _ *faults) handler {
	return handler{access: func(x *exchange) {
		location := c.Location
		if target, err := url.Parse(location); err == nil && c.KeepIncomingPath {
			location = target.ResolveReference(&url.URL{Path: "/"}).String()
			location = strings.TrimSuffix(location, "/") + x.request.URL.RequestURI()
		}
		x.Header().Set("Location", location)
		x.answer(c.StatusCode, "redirecting")
	}}
}
