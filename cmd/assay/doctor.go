package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/lab/bench/doctor"
	"assay/profiles/dossier"
)

func doctorCommand() *cobra.Command {
	var benchPath, out, format string
	cmd := &cobra.Command{
		Use:   "doctor [DOSSIER]",
		Short: "Examine this machine: can a bench work here, and what would that do to verdicts",
		Long: "doctor looks at namespaces, privileges, interface, offloads, addresses, ports, clock and disk, and says of each finding what it\n" +
			"would do to verdicts and how to mend it. It changes nothing. Without --bench it looks at what `assay demo` needs.\n" +
			"With a dossier it also asks the segment who has the units' addresses.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return oneArg("dossier")(cmd, args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o := doctor.Options{Dir: out}
			var err error
			if benchPath != "" {
				if o.File, err = bench.ReadFile(benchPath); err != nil {
					return unusable(err, "mend the bench file; the README shows complete ones")
				}
			}
			if len(args) == 1 {
				if o.Dossier, err = dossier.Read(args[0]); err != nil {
					return unusable(err, "mend the dossier; `assay demo` leaves a complete one in its run folder to compare with")
				}
			}
			r := doctor.Examine(cmd.Context(), o)
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			return sayDoctor(cmd.OutOrStdout(), r, format)
		},
	}
	cmd.Flags().StringVar(&benchPath, "bench", "", "bench file; without it, the reference bench of assay demo")
	cmd.Flags().StringVar(&out, "out", "assay-runs", "the folder that runs would be written to")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// sayDoctor tells what was found; the exit code says whether a bench can work.
func sayDoctor(w io.Writer, r doctor.Report, format string) error {
	code := exitDone
	if !r.Usable {
		code = exitBench
	}
	if format == "json" {
		return errors.Join(writeJSON(w, r), ended(code))
	}
	signs := map[doctor.Level]string{doctor.OK: "✓", doctor.Warning: "!", doctor.Problem: "✗"}
	count := map[doctor.Level]int{}
	for _, f := range r.Findings {
		count[f.Level]++
		fmt.Fprintf(w, "%s %s: %s\n", signs[f.Level], f.Check, strings.ReplaceAll(f.Says, "\n", " "))
		if f.Verdicts != "" {
			fmt.Fprintf(w, "    verdicts: %s\n", f.Verdicts)
		}
		if f.Mend != "" {
			fmt.Fprintf(w, "    to mend it: %s\n", f.Mend)
		}
	}
	word := "can work"
	if !r.Usable {
		word = "cannot work"
	}
	_, err := fmt.Fprintf(w, "\nA bench in mode %s %s here: %d ok, %d warnings, %d problems.\n", r.Mode, word, count[doctor.OK], count[doctor.Warning], count[doctor.Problem])
	return errors.Join(err, ended(code))
}
