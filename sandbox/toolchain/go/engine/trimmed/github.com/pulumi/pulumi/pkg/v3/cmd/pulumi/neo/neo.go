// Package neo has no command: Pulumi Cloud's agent has no place in the sandbox, and it draws its own terminal windows.
package neo

import (
	"errors"

	"github.com/spf13/cobra"
)

// NewNeoCmd returns a command that fails.
func NewNeoCmd() *cobra.Command {
	return &cobra.Command{Use: "neo", Hidden: true, RunE: func(*cobra.Command, []string) error {
		return errors.New("this pulumi was built for the sandbox, without Pulumi Cloud's agent")
	}}
}
