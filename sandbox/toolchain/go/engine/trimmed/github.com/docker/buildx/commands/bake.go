package commands

import (
	"errors"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// The provider builds images one by one.
func bakeCmd(command.Cli, *rootOptions) *cobra.Command {
	return &cobra.Command{Use: "bake", Hidden: true, RunE: func(*cobra.Command, []string) error {
		return errors.New("this buildx was built for the sandbox, without bake")
	}}
}
