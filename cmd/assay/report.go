package main

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"assay/lab/evidence"
	"assay/reports"
)

func reportCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "report EVIDENCE",
		Short: "Print a run: verdicts, what was seen, how to mend it",
		Long: "report judges the observations of a sealed file or a run's folder again and prints them. It does not check the seal:\n" +
			"that is `assay verify`. The exit code is the verdict.",
		Args: oneArg("sealed file or run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return report(cmd.OutOrStdout(), args[0], format, out)
		},
	}
	formatFlag(cmd, &format, "text", "json", "html")
	cmd.Flags().StringVar(&out, "out", "", "write to this file instead of stdout")
	return cmd
}

func report(w io.Writer, path, format, out string) error {
	ev, err := recorded(path)
	if err != nil {
		return err
	}
	r, err := reports.Build(ev)
	if err != nil {
		return unverified(err, "`assay verify` tells what is broken")
	}
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return unusable(fmt.Errorf("write the report: %w", err), "choose a writable file with --out")
		}
		defer f.Close()
		w = f
	}
	if err := face(w, r, format); err != nil {
		return benchFailed(fmt.Errorf("print the report: %w", err), "is the disk full?")
	}
	return ended(codeOf(r))
}

// recorded opens evidence that came far enough to be judged. It checks no seal.
func recorded(path string) (*evidence.Evidence, error) {
	if err := readable(path, "evidence"); err != nil {
		return nil, err
	}
	ev, err := evidence.Open(path)
	if err != nil {
		return nil, unverified(err, "`assay verify` tells what is broken")
	}
	if !begun(ev) {
		return nil, &complaint{exitIncomplete, fmt.Errorf("%s ends before its first question: there is nothing to report", path), ""}
	}
	return ev, nil
}

// begun tells whether a record came as far as its plan, after which the questions come.
func begun(ev *evidence.Evidence) bool {
	return ev.Sealed || slices.ContainsFunc(ev.Records, func(r evidence.Record) bool { return r.Kind == evidence.KindPlan })
}
