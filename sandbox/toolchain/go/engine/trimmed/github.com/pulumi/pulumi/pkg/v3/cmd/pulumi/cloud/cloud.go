// Package cloud calls no API of Pulumi Cloud: the sandbox's state is its own, and `pulumi api` reads OpenAPI documents.
package cloud

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pulumi/pulumi/pkg/v3/backend/httpstate/client"
)

var errTrimmed = errors.New("this pulumi was built for the sandbox, without the API of Pulumi Cloud")

// APIError is never returned.
type APIError struct {
	error
	ExitCode int
	Silent   bool
}

// ResolvedContext tells which organization of Pulumi Cloud a command is for.
type ResolvedContext struct {
	Client   *client.Client
	OrgName  string
	LoggedIn bool
}

// ResolveContext returns an error.
func ResolveContext(context.Context) (*ResolvedContext, error) { return nil, errTrimmed }

// NewAPICmd returns a command that fails.
func NewAPICmd() *cobra.Command {
	return &cobra.Command{Use: "api", Hidden: true, RunE: func(*cobra.Command, []string) error { return errTrimmed }}
}
