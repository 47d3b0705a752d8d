// Package cli has no commands for Pulumi ESC: its environments are in Pulumi Cloud, and a stack that names one fails.
package cli

import (
	"errors"

	"github.com/pulumi/esc"
	"github.com/pulumi/esc/cmd/esc/cli/workspace"
	"github.com/pulumi/pulumi/pkg/v3/backend/httpstate"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"
	"github.com/spf13/cobra"
)

var errTrimmed = errors.New("this pulumi was built for the sandbox, without the environments of Pulumi ESC")

// Options is what pulumi passes to New.
type Options struct {
	ParentPath, UserAgent string
	Colors                colors.Colorization
	Login                 httpstate.LoginManager
	PulumiWorkspace       workspace.PulumiWorkspace
}

// PrepareOptions is what pulumi passes to PrepareEnvironment.
type PrepareOptions struct{ Quote, Pretend, Redact bool }

// New returns a command whose subcommand fails.
func New(*Options) *cobra.Command {
	root := &cobra.Command{Use: "esc"}
	root.AddCommand(&cobra.Command{
		Use: "env", Hidden: true, RunE: func(*cobra.Command, []string) error { return errTrimmed },
	})
	return root
}

// PrepareEnvironment returns an error.
func PrepareEnvironment(*esc.Environment, *PrepareOptions) (files, environ, secrets []string, err error) {
	return nil, nil, nil, errTrimmed
}
