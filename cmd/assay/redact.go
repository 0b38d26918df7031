package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"assay/lab"
	"assay/lab/evidence"
	"assay/reports"
)

func redactCommand() *cobra.Command {
	var out string
	var names []string
	var records []uint
	cmd := &cobra.Command{
		Use:   "redact RUN.assay --out PUBLIC.assay --withhold ARTEFACT",
		Short: "Write a copy that withholds something and proves the same root",
		Long: "redact writes a copy of a sealed run without some artefacts (the capture, a device's log, the dossier) or some records\n" +
			"(" + strings.Join(evidence.Withholdable, ", ") + "). Root, seal, time-stamp and amendments stay valid: what is left out is there as its leaf.\n" +
			"`assay verify` lists what is withheld, and says so where verdicts cannot be recomputed from the rest.",
		Args: oneArg("sealed file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := readable(args[0], "evidence"); err != nil {
				return err
			}
			if out == "" {
				return unusable(errors.New("redact needs a file to write"), "name it with --out")
			}
			var seqs []uint64
			for _, n := range records {
				seqs = append(seqs, uint64(n))
			}
			err := evidence.Redact(cmd.Context(), args[0], out, names, seqs)
			switch {
			case errors.Is(err, evidence.ErrBroken):
				return unverified(err, "`assay verify` tells what is broken")
			case err != nil:
				return unusable(err, "--withhold takes an artefact's name, e.g. "+lab.FileCapture+"; --record a record's number; --out a new file")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), out)
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "the copy")
	cmd.Flags().StringArrayVar(&names, "withhold", nil, "artefact to leave out, e.g. "+lab.FileCapture+"; may be given several times")
	cmd.Flags().UintSliceVar(&records, "record", nil, "numbers of records to leave out, separated by commas")
	return cmd
}

// redacted tells what a copy withholds, and whose word its conformity is.
func (f *finding) redacted(ev *evidence.Evidence, attested bool) {
	f.Redacted, f.Withheld, f.Attested = ev.Redacted, ev.Withheld, attested
	if !attested {
		return
	}
	f.Conformity = ""
	if c, err := reports.Attested(ev); err == nil {
		f.Conformity = string(c)
	}
	if b, err := lab.Begun(ev); err == nil {
		f.Run = b.Run
	}
}

// sayRun tells what the run found, and what that rests on.
func (f *finding) sayRun(w io.Writer) {
	run, conformity := clean(f.Run), cmp.Or(f.Conformity, "no statement that this program knows")
	switch {
	case !f.Attested:
		fmt.Fprintf(w, "run %s: %s, recomputed from the observations\n", run, conformity)
	case f.Judge != nil:
		fmt.Fprintf(w, "run %s: %s, NOT RECOMPUTED: the lab's word under its seal.\n", run, conformity)
		fmt.Fprintf(w, "%s\nthe run was begun by %s: that program recomputes them\n", clean(f.Judge.Error()), clean(madeBy(f.Judge)))
	case f.Conformity == "":
		fmt.Fprintf(w, "run %s: its verdicts are withheld\n", run)
	default:
		fmt.Fprintf(w, "run %s: %s, ATTESTED ONLY: the lab's word under its seal; what is withheld keeps it from being recomputed\n", run, conformity)
	}
	if f.Redacted {
		fmt.Fprintf(w, "redacted copy; withheld: %s\n", clean(strings.Join(f.Withheld, ", ")))
	}
}
