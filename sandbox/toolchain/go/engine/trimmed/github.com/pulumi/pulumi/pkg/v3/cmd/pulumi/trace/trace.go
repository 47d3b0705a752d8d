// Package trace has no commands: they show old trace files in a browser.
package trace

import (
	"errors"

	"github.com/spf13/cobra"
)

// NewViewTraceCmd returns a command that fails.
func NewViewTraceCmd() *cobra.Command { return trimmed("view-trace") }

// NewConvertTraceCmd returns a command that fails.
func NewConvertTraceCmd() *cobra.Command { return trimmed("convert-trace") }

func trimmed(name string) *cobra.Command {
	return &cobra.Command{Use: name, Hidden: true, RunE: func(*cobra.Command, []string) error {
		return errors.New("this pulumi was built for the sandbox, without the commands that read traces")
	}}
}
