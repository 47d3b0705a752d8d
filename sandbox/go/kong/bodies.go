package main

import (
	"bytes"
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

// holdBack keeps an upstream's response until it is whole if a plugin needs it so.
func (x *exchange) holdBack(response *http.Response) {
	if response.StatusCode == http.StatusSwitchingProtocols || !x.holdsBack() {
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
