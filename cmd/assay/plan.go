package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/bench"
	"assay/profiles"
	"assay/profiles/plan"
	"assay/profiles/review"
)

func planCommand() *cobra.Command {
	var profile, benchPath, reviews, format, unit string
	cmd := &cobra.Command{
		Use:   "plan DOSSIER",
		Short: "Show what a run would ask, in which order, and what it could not",
		Args:  oneArg("dossier"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := readInputs(args[0], profile, benchPath, unit)
			if err != nil {
				return err
			}
			if err := in.readReviews(cmd.ErrOrStderr(), reviews); err != nil {
				return err
			}
			mode := bench.ModeReference
			if in.file != nil {
				mode = in.file.Mode
			}
			has, missing := bench.OffersAll(mode, in.file, in.dossier, in.units())
			p, err := in.makePlan(has, missing)
			if err != nil {
				return err
			}
			sayNotes(cmd.ErrOrStderr(), in.dossier)
			var said []review.Review
			if in.reviews != nil {
				said = in.reviews.Reviews
			}
			prospects := plan.Outlooks(in.dossier, in.set, p, said)
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), struct {
					*plan.Plan
					Requirements []plan.Outlook `json:"requirements"`
				}{p, prospects})
			}
			if err := sayPlan(cmd.OutOrStdout(), p); err != nil {
				return err
			}
			return sayProspects(cmd.OutOrStdout(), prospects, in.set)
		},
	}
	cmd.Flags().StringVar(&profile, "profile", "baseline", "embedded profile, or a file")
	cmd.Flags().StringVar(&benchPath, "bench", "", "bench file; without it, the plan for a bench that has everything")
	cmd.Flags().StringVar(&reviews, "reviews", "", "what named persons answered already, as assay review writes it")
	cmd.Flags().StringVar(&unit, "unit", "", "as in run")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// sayProspects tells of every requirement what will come of it at best.
func sayProspects(w io.Writer, all []plan.Outlook, set *profiles.Set) error {
	count := map[plan.Prospect]int{}
	unreviewed := 0
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "REQUIREMENT\tLEVEL\tCHECKS\tREVIEWS\tOUTLOOK\tWHY\n")
	for _, o := range all {
		count[o.Prospect]++
		unreviewed += o.Unreviewed
		word := map[plan.Prospect]string{plan.Decided: "will be decided", plan.Spared: "spared", plan.OpenEnd: "stays inconclusive", plan.Failing: "will fail"}[o.Prospect]
		fmt.Fprintf(t, "%s %s\t%s\t%d\t%d/%d\t%s\t%s\n", o.Standard, o.ID, o.Level, o.Checks, o.Reviews-o.Unreviewed, o.Reviews, word, strings.Join(o.Because, "; "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d requirements: %d will be decided, %d are spared by the dossier, %d stay inconclusive, %d will fail by what the dossier says", len(all), count[plan.Decided], count[plan.Spared], count[plan.OpenEnd], count[plan.Failing])
	if unreviewed > 0 {
		fmt.Fprintf(w, "; %d reviews are missing (`assay review` asks for them)", unreviewed)
	}
	fmt.Fprintln(w)
	if left := set.Omitted.String(); left != "" {
		fmt.Fprintln(w, left)
	}
	return nil
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
