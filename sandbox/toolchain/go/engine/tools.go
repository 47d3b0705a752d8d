//go:build tools

// Package engine keeps the commands that are built as they are in go.mod.
package engine

import (
	_ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
	_ "helm.sh/helm/v3/cmd/helm"
)
