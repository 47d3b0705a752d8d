package gateway

import (
	"strings"
	"testing"
)

func TestAnErrorHasTheFormThatAClientAccepts(t *testing.T) {
	for accept, kind := range map[string]string{
		"":                                 "application/json; charset=utf-8",
		"*/*":                              "application/json; charset=utf-8",
		"image/png":                        "application/json; charset=utf-8",
		"text/html":                        "text/html; charset=utf-8",
		"text/*":                           "text/plain; charset=utf-8",
		"application/xml":                  "application/xml; charset=utf-8",
		"text/html;q=0.5, text/plain;q=.9": "text/plain; charset=utf-8",
	} {
		found, body := errorBody(accept, "a <b>", "id")
		if found != kind {
			t.Errorf("%q: %s, not %s", accept, found, kind)
		}
		if !strings.Contains(body, "id") {
			t.Errorf("%q: %s", accept, body)
		}
	}
}
