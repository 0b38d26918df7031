package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/profiles/plan"
)

func planCommand() *cobra.Command {
	var profile, benchPath, format, unit string
	cmd := &cobra.Command{
		Use:   "plan DOSSIER",
		Short: "Show what a run would ask, in which order, and what it could not",
		Args:  oneArg("dossier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := readInputs(args[0], profile, benchPath, unit)
			if err != nil {
				return err
			}
			has, missing := bench.OffersAll(in.file, in.dossier, in.units())
			if in.file == nil {
				has, missing = bench.Offers(bench.ModeReference, nil, in.dossier)
			}
			p, err := in.makePlan(has, missing)
			if err != nil {
				return err
			}
			sayNotes(cmd.ErrOrStderr(), in.dossier)
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), p)
			}
			return sayPlan(cmd.OutOrStdout(), p)
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "baseline", "embedded profile, or a file")
	cmd.Flags().StringVar(&benchPath, "bench", "", "bench file; without it, the plan for a bench that has everything")
	cmd.Flags().StringVar(&unit, "unit", "", "as in run")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func sayPlan(w io.Writer, p *plan.Plan) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	asked := 0
	for i, s := range p.Steps {
		note := fmt.Sprintf("about %d s", s.Typical)
		if s.NotAsked != "" {
			note = "cannot be asked: " + s.NotAsked
			if s.Inapplicable {
				note = "need not be asked: " + s.NotAsked
			}
		} else {
			asked++
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", i+1, s.Touch, s.ID, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d of %d steps will be asked, about %s\n", asked, len(p.Steps), time.Duration(p.Typical)*time.Second)
	return err
}
