package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/refdevice"
)

// refdeviceVerb starts the reference device as a process of its own: one unit, one
// process, one network namespace.
const refdeviceVerb = "__refdevice"

func refdeviceCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use: refdeviceVerb, Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := refdevice.LoadConfig(config)
			if err != nil {
				return unusable(err, "")
			}
			c.Now, c.Answers = time.Now, os.Stdout
			err = refdevice.Run(cmd.Context(), c, os.Stdin, os.Stderr)
			if err != nil && !errors.Is(err, cmd.Context().Err()) {
				return benchFailed(err, "")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "device configuration (JSON)")
	return cmd
}
