package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"slices"
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

// filterBody gives a JSON response to the plugins that change such.
func (x *exchange) filterBody(header http.Header, body []byte) []byte {
	for _, h := range x.collected() {
		if h.body != nil && isJSON(header) {
			body = h.body(x, body)
		}
	}
	return body
}

// holdBack keeps an upstream's response until it is whole if a plugin needs it so.
func (x *exchange) holdBack(response *http.Response) {
	wanted := slices.ContainsFunc(x.collected(), func(h *handler) bool { return h.body != nil })
	if !wanted || !isJSON(response.Header) || response.ContentLength == 0 || x.request.Method == http.MethodHead {
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
