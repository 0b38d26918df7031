package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"assay/lab"
	"assay/lab/evidence"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/reports"
	"assay/reports/crosswalk"
)

func reportCommand() *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report EVIDENCE",
		Short: "Print a run: verdicts, what was seen, how to mend it",
		Long: "report judges the observations of a sealed file or a run's folder again and prints them. It does not check the seal:\n" +
			"that is `assay verify`. The exit code is the verdict, whatever the form.\n\n" +
			"--format chooses who reads it: pdf to file and to sign (with --out or a pipe), markdown, junit and sarif for code hosts, oscal,\n" +
			"cyclonedx and intoto for other tools, ics and ics-json for the tables of TS 103 701, annexvii for the CRA's technical documentation.\n\n" +
			"--format crosswalk (or crosswalk-html, crosswalk-json) judges the same record by every embedded standard and lays them side by\n" +
			"side; it makes many statements, so its exit code is 0.\n\n" +
			"--sign-key and --sign-cert sign a pdf (PAdES baseline B, with --tsa B-T): the signature covers the whole document.",
		Args: oneArg("sealed file or run folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.out == "" {
				if err := printable(cmd.OutOrStdout(), f.format, "choose a file with --out, or a pipe"); err != nil {
					return err
				}
			}
			return report(cmd.Context(), cmd.OutOrStdout(), args[0], f)
		},
	}
	formatFlag(cmd, &f.format, append(formats(), "crosswalk", "crosswalk-html", "crosswalk-json")...)
	cmd.Flags().StringVar(&f.reviews, "reviews", "", "with a crosswalk: what named persons answered since")
	cmd.Flags().BoolVar(&f.amended, "amended", false, "judge with the reviews that amendments brought, in place of the sealed verdicts")
	cmd.Flags().StringVar(&f.out, "out", "", "write to this file instead of stdout")
	f.sign.add(cmd)
	return cmd
}

// reportFlags are report's own.
type reportFlags struct {
	format, out, reviews string
	amended              bool
	sign                 signFlags
}

func report(ctx context.Context, w io.Writer, path string, f reportFlags) error {
	signature, err := f.sign.signature(ctx, f.format)
	if err != nil {
		return err
	}
	ev, err := recorded(path)
	if err != nil {
		return err
	}
	if format, ok := strings.CutPrefix(f.format, "crosswalk"); ok {
		return sideBySide(w, ev, f.reviews, strings.TrimPrefix(format, "-"), f.out)
	}
	r, err := reports.Build(ev)
	if err != nil {
		return unjudged(err)
	}
	said, err := tellSince(ev)
	if err != nil {
		return err
	}
	if f.amended {
		if r, err = reports.Amended(ev, ev.Standing(false)); err != nil {
			return unverified(err, "`assay verify` tells what is broken")
		}
		if r == nil {
			return unusable(fmt.Errorf("no amendment of %s brings a review", path), "without --amended the sealed verdicts are printed")
		}
	}
	write := func(w io.Writer) error { return face(w, r, f.format) }
	if signature != nil {
		document, err := signed(r, signature)
		if err != nil {
			return err
		}
		write = func(w io.Writer) error { _, err := w.Write(document); return err }
	}
	if err := into(w, f.out, write); err != nil {
		return err
	}
	return said.ended(codeOf(r))
}

// unjudged is evidence that gives no verdicts: a redacted copy without what they are made of, another edition's, or broken.
func unjudged(err error) error {
	if errors.Is(err, evidence.ErrWithheld) || errors.Is(err, reports.ErrAttested) {
		return &complaint{exitIncomplete, err, "this redacted copy cannot be judged; `assay verify` tells what its seal says"}
	}
	var other *reports.OtherJudge
	if errors.As(err, &other) {
		return &complaint{exitIncomplete, err, "the run was begun by " + madeBy(other) + ": ask that program; `assay verify` tells whether the record is whole"}
	}
	return unverified(err, "`assay verify` tells what is broken")
}

// madeBy names the program that began a run whose verdicts this one cannot come to.
func madeBy(o *reports.OtherJudge) string {
	return fmt.Sprintf("assay %s (SHA-256 %s)", o.Tool.Version, o.Tool.SHA256)
}

// into writes to a file where one is named, or else to w.
func into(w io.Writer, out string, write func(io.Writer) error) error {
	if out != "" {
		if holdsEvidence(out) {
			return unusable(fmt.Errorf("write the report: %s is a sealed file, and it would be lost", out), "choose another file with --out")
		}
		f, err := os.Create(out)
		if err != nil {
			return unusable(fmt.Errorf("write the report: %w", err), "choose a writable file with --out")
		}
		defer f.Close()
		w = f
	}
	if err := write(w); err != nil {
		return benchFailed(fmt.Errorf("print the report: %w", err), "is the disk full?")
	}
	return nil
}

// holdsEvidence tells whether a file that is there is an archive, as sealed evidence is and no report.
func holdsEvidence(path string) bool {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false // /dev/stdout, a named pipe: nobody looks into those
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == "PK\x03\x04"
}

// sideBySide judges a record by every embedded standard and prints them beside each other.
func sideBySide(w io.Writer, ev *evidence.Evidence, reviews, format, out string) error {
	schemas, err := profiles.Schemas(catalog.All())
	if err != nil {
		return fmt.Errorf("read the probes' schemas: %w", err)
	}
	all, err := profiles.LoadAll(profiles.Embedded(), schemas)
	if err != nil {
		return fmt.Errorf("load the embedded standards: %w", err)
	}
	in, err := reports.Inputs(ev)
	if err != nil {
		return unjudged(err)
	}
	since := inputs{dossier: in.Dossier, set: in.Set}
	if err := since.readReviews(io.Discard, reviews); err != nil {
		return err
	}
	results, err := reports.JudgeAll(ev, all.Sets, since.reviews)
	if err != nil {
		return unjudged(err)
	}
	t := crosswalk.Make(in.Begin.Run, in.Dossier.Product.Manufacturer+" "+in.Dossier.Product.Model+", firmware "+in.Dossier.Product.Firmware, all, results)
	return into(w, out, func(w io.Writer) error {
		switch format {
		case "html":
			return t.HTML(w)
		case "json":
			return writeJSON(w, t)
		default:
			return t.Text(w)
		}
	})
}

// recorded opens evidence that came far enough to be judged. It checks no seal.
func recorded(path string) (*evidence.Evidence, error) {
	if err := readable(path, "evidence"); err != nil {
		return nil, err
	}
	ev, err := evidence.Open(path)
	switch {
	case err != nil && !errors.Is(err, evidence.ErrBroken):
		return nil, unusable(fmt.Errorf("read %s: %w", path, err), "name a file that assay sealed, RUN.assay, or the folder of one run, with a journal in it")
	case err != nil:
		return nil, unverified(fmt.Errorf("read %s: %w", path, err), "`assay verify` tells what is broken")
	}
	if !begun(ev) {
		return nil, &complaint{exitIncomplete, fmt.Errorf("%s ends before its first question: there is nothing to report", path), ""}
	}
	return ev, nil
}

// recordedRun is recorded, with what the judge was given. It checks no seal either.
func recordedRun(path string) (*evidence.Evidence, *lab.Inputs, error) {
	ev, err := recorded(path)
	if err != nil {
		return nil, nil, err
	}
	in, err := reports.Inputs(ev)
	if err != nil {
		return nil, nil, unjudged(err)
	}
	return ev, in, nil
}

// begun tells whether a record came as far as its plan, after which the questions come.
func begun(ev *evidence.Evidence) bool {
	return ev.Sealed || slices.ContainsFunc(ev.Records, func(r evidence.Record) bool { return r.Kind == evidence.KindPlan })
}
