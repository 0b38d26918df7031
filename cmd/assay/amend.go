package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/lab/evidence"
	"assay/reports"
	"assay/reports/verdict"
)

// amendFlags are amend's own.
type amendFlags struct {
	key, reviews string
	a            evidence.Amendment
}

func amendCommand() *cobra.Command {
	var f amendFlags
	cmd := &cobra.Command{
		Use:   "amend RUN.assay --kind KIND --by NAME --role ROLE --key KEY --statement TEXT",
		Short: "Sign a review, a sign-off, a correction or a withdrawal behind a sealed run",
		Long: "amend puts a signed statement behind a sealed run. It names the run's root and the amendment before it; nothing that is there\n" +
			"changes a byte, and the run's own verdicts stay what they are: what reviews change is shown beside them.\n" +
			"Keep the digest that it prints: `assay verify --amended-through` shows with it whether amendments were cut off later.\n" +
			"A profile's approvals want sign-offs by distinct persons with distinct keys, none of them the operator; a review or\n" +
			"correction that comes later wants new ones. `assay verify --key reviewer=FILE --key approver=FILE` checks all of it.",
		Args: oneArg("sealed file"),
		RunE: func(cmd *cobra.Command, args []string) error { return amend(cmd, args[0], f) },
	}
	cmd.Flags().StringVar(&f.a.Kind, "kind", "", strings.Join(evidence.AmendmentKinds, ", "))
	cmd.Flags().StringVar(&f.a.By, "by", "", "who says it")
	cmd.Flags().StringVar(&f.a.Role, "role", "", strings.Join(evidence.AmendmentRoles, ", "))
	cmd.Flags().StringVar(&f.key, "key", "", "that person's private key: a PEM file, or NAME://ID")
	cmd.Flags().StringVar(&f.a.Statement, "statement", "", "what is said, or why")
	cmd.Flags().StringVar(&f.a.Statement, "reason", "", "the same as --statement")
	cmd.Flags().StringVar(&f.reviews, "reviews", "", "with --kind review: the answers, as assay review writes them")
	cmd.Flags().StringVar(&f.a.Of, "of", "", "what is corrected or withdrawn: record/N, amendment/N, an observation's id, a unit; without it, the run")
	return cmd
}

func amend(cmd *cobra.Command, path string, f amendFlags) error {
	if err := readable(path, "evidence"); err != nil {
		return err
	}
	for _, w := range []struct{ flag, text string }{{"kind", f.a.Kind}, {"by", f.a.By}, {"role", f.a.Role}, {"key", f.key}, {"statement", f.a.Statement}} {
		if strings.TrimSpace(w.text) == "" {
			return unusable(fmt.Errorf("amend needs --%s", w.flag), "`assay amend --help` shows how")
		}
		if clean(w.text) != w.text {
			return unusable(fmt.Errorf("--%s has a character that does not print", w.flag), "")
		}
	}
	if (f.reviews != "") != (f.a.Kind == evidence.AmendReview) {
		return unusable(errors.New("--kind review and --reviews go together"), "`assay review "+path+"` asks and writes the answers")
	}
	key, err := newSigner(cmd.Context(), f.key)
	if err != nil {
		return err
	}
	f.a.Time = time.Now()
	if err := f.answers(cmd.ErrOrStderr(), path); err != nil {
		return err
	}
	a, err := evidence.Amend(cmd.Context(), path, key.signer, f.a)
	switch {
	case errors.Is(err, evidence.ErrAmendment):
		return unusable(err, "`assay amend --help` shows how; the file is as it was")
	case errors.Is(err, evidence.ErrNotWhole):
		return unusable(err, "amend the whole bundle and redact that again")
	case errors.Is(err, evidence.ErrBroken):
		return unverified(err, "`assay verify` tells what is broken")
	case err != nil:
		return benchFailed(err, "the file is as it was")
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "amendment %d: %s by %s, %s\namended through: %v\n", a.Number, a.Kind, a.By, a.Role, &reports.Through{Amendments: a.Number, SHA256: a.Digest})
	return err
}

// answers reads the reviews that are to be amended; they are the answers of whoever signs.
func (f *amendFlags) answers(story io.Writer, path string) error {
	if f.reviews == "" {
		return nil
	}
	_, in, err := recordedRun(path)
	if err != nil {
		return err
	}
	since := inputs{dossier: in.Dossier, set: in.Set}
	if err := since.readReviews(story, f.reviews); err != nil {
		return err
	}
	for _, r := range since.reviews.Reviews {
		if r.By.Name != f.a.By {
			return unusable(fmt.Errorf("%s has an answer by %s, and --by says %s", f.reviews, r.By.Name, f.a.By), "each reviewer amends with a file and a key of their own")
		}
		b, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("encode the review: %w", err)
		}
		f.a.Reviews = append(f.a.Reviews, b)
	}
	if len(f.a.Reviews) == 0 {
		return unusable(fmt.Errorf("%s has no answer in it", f.reviews), "`assay review "+path+"` asks")
	}
	return nil
}

// A later is what stands behind a seal, as far as it counts.
type later struct {
	Amendments []amended          `json:"amendments,omitempty"`
	Amended    verdict.Conformity `json:"amended_conformity,omitempty"` // with the reviews since; the sealed one stays
	Withdrawn  bool               `json:"withdrawn,omitempty"`
	Approval   *reports.Approval  `json:"approval,omitempty"`
	Unchecked  int                `json:"unchecked_amendments,omitempty"`
}

// amended is one amendment, told.
type amended struct {
	Number    int       `json:"number"`
	Kind      string    `json:"kind"`
	By        string    `json:"by"`
	Role      string    `json:"role"`
	Time      time.Time `json:"time"`
	Of        string    `json:"of,omitempty"`
	Statement string    `json:"statement"`
	Units     int       `json:"reviews,omitempty"`
	Stands    bool      `json:"stands"` // nobody withdrew it, and it was checked where that was asked for
	Checked   bool      `json:"checked"`
}

// since tells what amendments change. checked counts only those whose signature holds under a given key.
func since(ev *evidence.Evidence, checked bool) (*later, error) {
	l := &later{}
	standing := ev.Standing(checked)
	for _, a := range ev.Amendments {
		stands := slices.ContainsFunc(standing, func(b evidence.Amendment) bool { return a.Number == b.Number })
		l.Amendments = append(l.Amendments, amended{a.Number, a.Kind, a.By, a.Role, a.Time, a.Of, a.Statement, len(a.Reviews), stands, a.Checked})
		l.Withdrawn = l.Withdrawn || stands && a.Kind == evidence.AmendWithdrawal && a.Of == ""
		if checked && !a.Checked {
			l.Unchecked++
		}
	}
	r, err := reports.Amended(ev, standing)
	if unjudgeable(err) {
		r, err = nil, nil // nobody can judge this copy; what was said is told all the same
	}
	if err != nil {
		return nil, err
	}
	if r != nil {
		l.Amended = r.Profiles[0].Conformity
	}
	l.Approval, err = reports.Approve(ev, checked)
	if unjudgeable(err) {
		err = nil
	}
	return l, err
}

// unjudgeable is evidence that may be whole and gives this program no verdicts all the same.
func unjudgeable(err error) bool {
	var other *reports.OtherJudge
	return errors.Is(err, evidence.ErrWithheld) || errors.Is(err, reports.ErrAttested) || errors.As(err, &other)
}

// say tells it in lines; asked: keys were asked for, and what they do not cover is told.
func (l *later) say(w io.Writer, asked bool) {
	for _, a := range l.Amendments {
		fmt.Fprintf(w, "amendment %d: %s by %s, %s, %s", a.Number, a.Kind, clean(a.By), a.Role, a.Time.Format(time.RFC3339))
		if a.Of != "" {
			fmt.Fprintf(w, ", of %s", clean(a.Of))
		}
		fmt.Fprintf(w, ": %s", clean(a.Statement))
		switch {
		case asked && !a.Checked:
			fmt.Fprintf(w, " (NOT CHECKED, counts for nothing: name the key with --key %s=FILE)", a.Role)
		case !a.Stands:
			fmt.Fprint(w, " (withdrawn)")
		}
		fmt.Fprintln(w)
	}
	if l.Amended != "" {
		fmt.Fprintf(w, "with the reviews since: %s; the sealed verdicts stay what they are\n", l.Amended)
	}
	switch a := l.Approval; {
	case a == nil:
	case a.Approved:
		fmt.Fprintf(w, "approved: %s", clean(strings.Join(a.By, ", ")))
		if !asked {
			fmt.Fprint(w, " (says the file, NOT CHECKED: `assay verify` does, under their keys)")
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintf(w, "NOT YET APPROVED: a sign-off is missing of: %s\n", strings.Join(a.Missing, ", "))
	}
	if l.Withdrawn {
		fmt.Fprintln(w, "WITHDRAWN: nobody stands by this run any more")
	}
}

// tellSince tells on stderr what a report does not show.
func tellSince(ev *evidence.Evidence) (*later, error) {
	l, err := since(ev, false)
	if err != nil {
		return nil, unverified(err, "`assay verify` tells what is broken")
	}
	l.say(os.Stderr, false)
	return l, nil
}

// ended is ended for a run that somebody may have withdrawn: it is conformant no more.
func (l *later) ended(code int) error {
	if l.Withdrawn && code == exitDone {
		code = exitIncomplete
	}
	return ended(code)
}
