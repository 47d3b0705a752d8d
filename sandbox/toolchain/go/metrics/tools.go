//go:build tools

// Package metrics builds metrics-server, with the engine's versions of Kubernetes' libraries where it can.
package metrics

import _ "sigs.k8s.io/metrics-server/cmd/metrics-server"
