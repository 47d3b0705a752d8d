// Package policy has no command: github.com/docker/buildx/policy says why.
package policy

import (
	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// RootOptions names the builder.
type RootOptions struct{ Builder *string }

// RootCmd returns a command that does nothing.
func RootCmd(*cobra.Command, command.Cli, RootOptions) *cobra.Command {
	return &cobra.Command{Use: "policy"}
}
