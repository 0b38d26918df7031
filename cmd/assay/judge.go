package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"assay/probes/catalog"
	"assay/reports"
)

func judgeCommand() *cobra.Command {
	var profile, reviews, format string
	cmd := &cobra.Command{
		Use:   "judge EVIDENCE --profile PROFILE",
		Short: "Judge old evidence by another profile, offline",
		Long: "judge takes the dossier and the observations of a sealed file or a run's folder and judges them by the profile you name:\n" +
			"a corrected one, or one that did not exist on the day, with the reviews that amendments brought. What nobody asked then is inconclusive. The evidence is not changed,\n" +
			"and its own verdicts stay what they are. The exit code is the verdict.",
		Args: oneArg("sealed file or run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := printable(cmd.OutOrStdout(), format, "lead the output into a file with > or a pipe"); err != nil {
				return err
			}
			return rejudge(cmd.OutOrStdout(), args[0], profile, reviews, format)
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "baseline", "embedded profile, or a file")
	cmd.Flags().StringVar(&reviews, "reviews", "", "what named persons answered since, as assay review writes it")
	formatFlag(cmd, &format, formats()...)
	return cmd
}

func rejudge(w io.Writer, path, profile, reviews, format string) error {
	set, err := loadProfile(profile, catalog.All())
	if err != nil {
		return err
	}
	ev, in, err := recordedRun(path)
	if err != nil {
		return err
	}
	since := inputs{dossier: in.Dossier, set: set}
	if err := since.readReviews(os.Stderr, reviews); err != nil {
		return err
	}
	more, err := reports.Reviewed(ev.Standing(false))
	if err != nil {
		return unverified(err, "`assay verify` tells what is broken")
	}
	if more != nil && since.reviews != nil {
		more.Reviews = append(more.Reviews, since.reviews.Reviews...)
	} else if more == nil {
		more = since.reviews
	}
	said, err := tellSince(ev)
	if err != nil {
		return err
	}
	r, err := reports.Rejudge(ev, set, more)
	if err != nil {
		return unjudged(err)
	}
	if err := face(w, r, format); err != nil {
		return benchFailed(fmt.Errorf("print the report: %w", err), "is the disk full?")
	}
	return said.ended(codeOf(r))
}
