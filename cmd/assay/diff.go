package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"assay/probes/catalog"
	"assay/reports"
	"assay/reports/diff"
)

func diffCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare two runs, and say what must be tested again",
		Long: "diff lays two runs beside each other: verdicts, observations, dossier, profile and tools; and it says of each step of the newer plan\n" +
			"whether it must be tested again or its older result may be carried over, and why. It checks no seal: that is `assay verify`.\n" +
			"It exits 0 where no requirement got worse, and 1 where one did.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return unusable(errors.New("`"+cmd.CommandPath()+"` takes two sealed files or run folders"), "the older one comes first")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var sides [2]diff.Side
			for i, path := range args {
				var err error
				if sides[i], err = side(path); err != nil {
					return err
				}
			}
			d := diff.Make(sides[0], sides[1], catalog.All())
			var err error
			if format == "json" {
				err = writeJSON(cmd.OutOrStdout(), d)
			} else {
				err = d.Text(cmd.OutOrStdout())
			}
			if err != nil {
				return benchFailed(fmt.Errorf("print the comparison: %w", err), "is the disk full?")
			}
			if d.Worse {
				return ended(exitNonConformant)
			}
			return nil
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// side reads one of two runs.
func side(path string) (diff.Side, error) {
	ev, in, err := recordedRun(path)
	if err != nil {
		return diff.Side{}, err
	}
	r, err := reports.Build(ev)
	if err != nil {
		return diff.Side{}, unjudged(err)
	}
	return diff.Side{In: in, Result: &r.Profiles[0], Frames: r.Frames}, nil
}
