//go:build tools

// Package language builds Pulumi's Python language host: v3.79.0 is the last sdk module that holds it.
package language

import _ "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
