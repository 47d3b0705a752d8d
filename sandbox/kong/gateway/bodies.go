package gateway

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// WholeBody reads a request's body, and keeps it to be read again.
func (x *Exchange) WholeBody() ([]byte, error) {
	if x.Request.Body == nil {
		return nil, nil
	}
	content, err := io.ReadAll(x.Request.Body)
	x.ReplaceBody(content)
	return content, err
}

func (x *Exchange) ReplaceBody(content []byte) {
	x.Request.Body = io.NopCloser(bytes.NewReader(content))
	x.Request.ContentLength, x.Request.TransferEncoding = int64(len(content)), nil
	x.Request.Header.Set("Content-Length", strconv.Itoa(len(content)))
}

// filterBody passes a whole response to the plugins that change bodies.
func (x *Exchange) filterBody(header http.Header, body []byte) []byte {
	for _, h := range x.collected() {
		if h.NewBodyFilter != nil {
			body = h.NewBodyFilter(x, header)(body, true)
		}
	}
	return body
}

// filteredBody passes a body through filters chunk by chunk.
type filteredBody struct {
	source  io.ReadCloser
	filters []BodyFilter
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

// filterResponse has the body of a service's response pass through the plugins' filters.
func (x *Exchange) filterResponse(response *http.Response) {
	var filters []BodyFilter
	for _, h := range x.collected() {
		if h.NewBodyFilter != nil {
			filters = append(filters, h.NewBodyFilter(x, response.Header))
		}
	}
	if len(filters) == 0 || response.ContentLength == 0 || x.Request.Method == http.MethodHead ||
		response.StatusCode == http.StatusSwitchingProtocols {
		return
	}
	response.Body = &filteredBody{source: response.Body, filters: filters}
	response.ContentLength = -1
}

// EncodeJSON encodes without escapes for HTML.
func EncodeJSON(value any) []byte {
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.Encode(value)
	return bytes.TrimSuffix(encoded.Bytes(), []byte("\n"))
}
