package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// wholeBody reads a request's body, which then is there to be read again.
func (x *exchange) wholeBody() ([]byte, error) {
	if x.request.Body == nil {
		return nil, nil
	}
	content, err := io.ReadAll(x.request.Body)
	x.replaceBody(content)
	return content, err
}

func (x *exchange) replaceBody(content []byte) {
	x.request.Body = io.NopCloser(bytes.NewReader(content))
	x.request.ContentLength, x.request.TransferEncoding = int64(len(content)), nil
	x.request.Header.Set("Content-Length", strconv.Itoa(len(content)))
}

// filterBody gives a whole response to the plugins that change bodies.
func (x *exchange) filterBody(header http.Header, body []byte) []byte {
	for _, h := range x.collected() {
		if h.body != nil && isResponseJSON(header) {
			if body = h.body(x, body); body == nil {
				panic(http.ErrAbortHandler)
			}
		}
		if h.newBodyFilter != nil {
			body = h.newBodyFilter(x, header)(body, true)
		}
	}
	return body
}

// filteredBody gives a body to filters as it passes.
type filteredBody struct {
	source  io.ReadCloser
	filters []bodyFilter
	ready   []byte
	ended   bool
}

func (b *filteredBody) Close() error { return b.source.Close() }

func (b *filteredBody) Read(into []byte) (int, error) {
	for len(b.ready) == 0 {
		if b.ended {
			return 0, io.EOF
		}
		chunk := make([]byte, 8192)
		n, err := b.source.Read(chunk)
		if err != nil && err != io.EOF {
			return 0, err
		}
		b.ended = err == io.EOF
		b.ready = chunk[:n]
		for _, filter := range b.filters {
			b.ready = filter(b.ready, b.ended)
		}
	}
	n := copy(into, b.ready)
	b.ready = b.ready[n:]
	return n, nil
}

// holdBack keeps an upstream's response until it is whole if a plugin needs it so.
func (x *exchange) holdBack(response *http.Response) {
	var filters []bodyFilter
	whole := false
	for _, h := range x.collected() {
		whole = whole || h.body != nil && isResponseJSON(response.Header)
		if h.newBodyFilter != nil {
			filters = append(filters, h.newBodyFilter(x, response.Header))
		}
	}
	if response.ContentLength == 0 || x.request.Method == http.MethodHead || response.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	if !whole {
		if len(filters) > 0 {
			response.Body = &filteredBody{source: response.Body, filters: filters}
			response.ContentLength = -1
		}
		return
	}
	content, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil { // the client must not take a part for the whole
		panic(http.ErrAbortHandler)
	}
	content = x.filterBody(response.Header, content)
	response.Body = io.NopCloser(bytes.NewReader(content))
	response.ContentLength = int64(len(content))
	response.TransferEncoding = nil
	response.Header.Set("Content-Length", strconv.Itoa(len(content)))
}

// encodeJSON doesn't escape what is no HTML here.
func encodeJSON(value any) []byte {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.Encode(value)
	return bytes.TrimSuffix(encoded.Bytes(), []byte("\n"))
}
