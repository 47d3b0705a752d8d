//go:build tools

// Package prometheus builds Prometheus, of whose ways to find targets only Kubernetes' is compiled.
package prometheus

import _ "github.com/prometheus/prometheus/cmd/prometheus"
