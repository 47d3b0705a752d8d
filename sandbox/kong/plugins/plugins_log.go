package plugins

import (
	"bytes"
	"errors"
	"log"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"kong/declarative"
	"kong/gateway"
	"kong/settings"
)

type fileLog struct {
	Path string `json:"path" need:"yes"`
}

var fileMutex sync.Mutex

func newFileLog(c *fileLog, _ *declarative.PluginEntity, _ *declarative.Faults) gateway.Handler {
	return gateway.Handler{Log: func(x *gateway.Exchange) {
		line := append(x.LogLine(), '\n')
		fileMutex.Lock()
		defer fileMutex.Unlock()
		file, err := os.OpenFile(c.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if c.Path == "/dev/stdout" { // it may be a pipe that can't be opened again
			file, err = os.Stdout, nil
		}
		if err != nil {
			log.Printf("file-log: %s", err)
			return
		}
		file.Write(line)
		if file != os.Stdout {
			file.Close()
		}
	}}
}

type httpLog struct {
	HTTPEndpoint string `json:"http_endpoint" need:"yes"`
}

func newHTTPLog(c *httpLog, _ *declarative.PluginEntity, wrong *declarative.Faults) gateway.Handler {
	checkURL("config.http_endpoint", c.HTTPEndpoint, wrong)
	q := &queue{batchSize: 1, name: "http-log"}
	q.send = func(batch [][]byte) error {
		return deliver(c.HTTPEndpoint, "application/json", batch[0], 10*time.Second)
	}
	return gateway.Handler{Log: func(x *gateway.Exchange) { q.Add(x.LogLine()) }}
}

func checkURL(field, text string, wrong *declarative.Faults) {
	if parsed, err := url.Parse(text); text != "" && (err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "") {
		wrong.Add(field, "expected an http or https URL")
	}
}

var collectors http.Client

// deliver sends a batch of entries to a collector.
func deliver(endpoint, kind string, content []byte, timeout time.Duration) error {
	request, err := http.NewRequest(http.MethodPost, endpoint, bytes.NewReader(content))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	request.Header.Set("User-Agent", "kong/"+settings.Version)
	client := collectors
	client.Timeout = timeout
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode >= 300 {
		return errors.New(endpoint + " answers " + response.Status)
	}
	return nil
}
