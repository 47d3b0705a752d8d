//go:build tools

// Package engine keeps the commands that are built as they are in go.mod.
package engine

import (
	_ "github.com/kong/kubernetes-ingress-controller/v3/internal/cmd"
	_ "github.com/moby/buildkit/cmd/buildkitd"
	_ "github.com/pulumi/pulumi-docker-build/provider/cmd/pulumi-resource-docker-build"
	_ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
	_ "helm.sh/helm/v3/cmd/helm"
)
