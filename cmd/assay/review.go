package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"assay/cmd/assay/interview"
	"assay/probes/catalog"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// reviewFlags are review's own.
type reviewFlags struct {
	profile, out, format, expires string
	by                            review.Person
	list, template                bool
	again, only                   []string
}

func reviewCommand() *cobra.Command {
	var f reviewFlags
	cmd := &cobra.Command{
		Use:   "review DOSSIER --profile PROFILE",
		Short: "Ask a person what no program can decide, and keep the answers",
		Long: "review asks the units of a profile that a named person has to answer, one by one, and keeps every answer at once:\n" +
			"what the file says already is not asked again, unless it was left open, has expired or cannot count. The dossier may also be taken from\n" +
			"a run: name its sealed file or its folder. `assay run` and `assay judge` take the answers with --reviews.\n\n" +
			"Without a terminal, or with --list, it prints what is open. --format json lists every unit and whether it is open.\n" +
			"--template adds an entry for each unit that nobody answered, to be filled in with an editor; the file is refused\n" +
			"until every entry is filled in or removed. An existing file is continued, never overwritten.",
		Args: oneArg("dossier"),
		RunE: func(cmd *cobra.Command, args []string) error { return reviewing(cmd, args[0], f) },
	}
	cmd.Flags().StringVar(&f.profile, "profile", "baseline", "embedded profile, or a file")
	cmd.Flags().StringVar(&f.out, "out", "reviews.yaml", "file of the answers")
	cmd.Flags().BoolVar(&f.list, "list", false, "print what is open, ask nothing")
	cmd.Flags().BoolVar(&f.template, "template", false, "write entries to fill in, ask nothing")
	cmd.Flags().StringSliceVar(&f.only, "only", nil, "only the units of these requirements, separated by commas")
	cmd.Flags().StringArrayVar(&f.again, "again", nil, "ask this unit again and replace its answer; may be given several times")
	cmd.Flags().StringVar(&f.by.Name, "name", "", "who answers; without it, it is asked once")
	cmd.Flags().StringVar(&f.by.Role, "role", "", "the role of who answers, e.g. assessor")
	cmd.Flags().StringVar(&f.by.Organisation, "organisation", "", "the organisation of who answers")
	cmd.Flags().StringVar(&f.expires, "expires", "", "last day on which the answers hold, e.g. 2027-11-20 (default one year from today)")
	formatFlag(cmd, &f.format, "text", "json")
	return cmd
}

func reviewing(cmd *cobra.Command, path string, f reviewFlags) error {
	if err := f.check(time.Now()); err != nil {
		return err
	}
	story := cmd.ErrOrStderr()
	d, err := reviewedDossier(path)
	if err != nil {
		return err
	}
	set, err := loadProfile(f.profile, catalog.All())
	if err != nil {
		return err
	}
	standards, _, err := library()
	if err != nil {
		return err
	}
	if f.out == "" {
		return unusable(errors.New("--out is empty"), "name a file")
	}
	keeper, err := review.Keep(f.out, d, time.Now, interview.About(set, standards), story)
	if err != nil {
		return f.wayOut(err)
	}
	for _, u := range keeper.File().Strangers(set) {
		fmt.Fprintf(story, "%s: answers %s, which profile %s does not ask; it is kept\n", f.out, u, set.Profile.ID)
	}
	shown, err := dossier.ParseRecorded(d.Source, d.Redacted())
	if err != nil {
		return fmt.Errorf("withhold the dossier's secrets: %w", err)
	}
	units, err := f.chosen(review.Units(set, shown, keeper))
	switch {
	case err != nil:
		return err
	case len(units) == 0:
		return unusable(fmt.Errorf("profile %s has no unit that wants a person's answer", set.Profile.ID), "`assay profiles coverage` shows which standards do")
	case f.template:
		return f.fill(cmd, keeper, units, shown)
	case f.format == "json":
		return writeJSON(cmd.OutOrStdout(), interview.ListAll(units, shown))
	case f.list:
		return interview.List(cmd.OutOrStdout(), units)
	case !terminal(os.Stdin) || !terminal(os.Stderr):
		if len(f.again) > 0 {
			return unusable(errors.New("--again asks, and nobody sits at a terminal here"), "edit the answer in "+f.out)
		}
		fmt.Fprintln(story, "this is no terminal, so nothing is asked; --template writes a file to fill in")
		return interview.List(cmd.OutOrStdout(), units)
	}
	ask, err := f.asked(units)
	if err != nil {
		return err
	}
	talk := &interview.Interview{Out: story, Dossier: shown, Betrays: d.Betrays, Keeper: keeper, Units: units, By: f.by, Expires: f.expires}
	if err := talk.Hold(cmd.Context(), os.Stdin, ask); err != nil {
		return f.wayOut(err)
	}
	if !keeper.Exists() {
		return nil
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), f.out)
	return err
}

// check refuses flags that do not go together, before anything is read.
func (f reviewFlags) check(now time.Time) error {
	if f.expires != "" {
		if err := review.GoodExpiry(f.expires, now); err != nil {
			return unusable(fmt.Errorf("--expires %w", err), "")
		}
	}
	if f.list && f.template {
		return unusable(errors.New("--list prints and --template writes"), "choose one")
	}
	if len(f.again) > 0 && (f.list || f.template || f.format == "json") {
		return unusable(errors.New("--again asks at the terminal"), "leave out --list, --template and --format")
	}
	for _, p := range []struct{ flag, text string }{{"name", f.by.Name}, {"role", f.by.Role}, {"organisation", f.by.Organisation}} {
		if clean(p.text) != p.text {
			return unusable(fmt.Errorf("--%s has a character that does not print", p.flag), "")
		}
	}
	return nil
}

// reviewedDossier reads a dossier, or takes the one that a run was made with.
func reviewedDossier(path string) (*dossier.Dossier, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		if sealed := sealedIn(path); sealed != "" {
			path = sealed
		}
	}
	if err == nil && (info.IsDir() || strings.EqualFold(filepath.Ext(path), ".assay")) {
		_, in, err := recordedRun(path)
		if err != nil {
			return nil, err
		}
		return in.Dossier, nil
	}
	d, err := dossier.Read(path)
	if err != nil {
		hint := "mend the dossier, or name a run's sealed file: it carries the dossier as it was used"
		if sealed := sealedIn(filepath.Dir(path)); sealed != "" {
			hint = "name " + sealed + " instead: it carries the dossier as it was used"
		}
		return nil, unusable(err, hint)
	}
	return d, nil
}

// sealedIn is the sealed file of a run's folder; empty: there is none, or more than one.
func sealedIn(dir string) string {
	if sealed, _ := filepath.Glob(filepath.Join(dir, "*.assay")); len(sealed) == 1 {
		return sealed[0]
	}
	return ""
}

// ways out of what keeps answers from being kept.
var ways = []struct {
	reason error
	hint   string
}{
	{review.ErrFile, "choose another file with --out"},
	{review.ErrOther, "mend it, or choose another file with --out: it is not overwritten"},
	{review.ErrSize, "a profile with fewer units, or --only, makes a smaller file"},
	{review.ErrFolder, "choose a writable folder with --out"},
}

// wayOut gives an error of the answers' file or of the interview its exit code and what to do.
func (f reviewFlags) wayOut(err error) error {
	for _, w := range ways {
		if errors.Is(err, w.reason) {
			return unusable(err, w.hint)
		}
	}
	switch {
	case errors.Is(err, review.ErrDisk):
		return benchFailed(err, "is the disk full?")
	case errors.Is(err, context.Canceled):
		return &complaint{exitIncomplete, errors.New("stopped"), "what was answered is in " + f.out + "; the same command goes on"}
	}
	return err
}

// chosen keeps the units of the requirements that --only names, by id or by standard/id; without it, all.
func (f reviewFlags) chosen(units []review.Unit) ([]review.Unit, error) {
	if len(f.only) == 0 {
		return units, nil
	}
	var out []review.Unit
	found := map[string]bool{}
	for _, u := range units {
		for _, n := range f.only {
			if n == u.Requirement.ID || n == u.Requirement.Address() {
				found[n] = true
				out = append(out, u)
				break
			}
		}
	}
	for _, n := range f.only {
		if !found[n] {
			return nil, unusable(fmt.Errorf("--only: no requirement %s with a unit that wants a person's answer", quote(n)), "without --only, --list shows all")
		}
	}
	return out, nil
}

// asked are the indices of the units that --again names; without it, of those that are open.
func (f reviewFlags) asked(units []review.Unit) ([]int, error) {
	if len(f.again) == 0 {
		return review.OpenUnits(units), nil
	}
	var out []int
	for _, n := range f.again {
		var hits []int
		for i, u := range units {
			if n == u.Address || n == u.Short() {
				hits = append(hits, i)
			}
		}
		switch {
		case len(hits) == 0:
			return nil, unusable(fmt.Errorf("--again: no unit %s wants a person's answer here", quote(n)), "name it like "+units[0].Address)
		case len(hits) > 1:
			return nil, unusable(fmt.Errorf("--again: %s stands in several standards", quote(n)), "name it like "+units[hits[0]].Address)
		case units[hits[0]].Spared != "":
			return nil, unusable(fmt.Errorf("--again: %s is not asked: %s", n, units[hits[0]].Spared), "change the dossier if it applies after all")
		case !slices.Contains(out, hits[0]):
			out = append(out, hits[0])
		}
	}
	return out, nil
}

// fill adds entries to fill in.
func (f reviewFlags) fill(cmd *cobra.Command, keeper *review.Keeper, units []review.Unit, shown *dossier.Dossier) error {
	entries := review.Template(units, shown, f.by, f.expires, time.Now())
	if len(entries) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "every unit has an entry; --list says which do not count")
		return nil
	}
	if err := keeper.Add(entries); err != nil {
		return f.wayOut(err)
	}
	what := "1 entry"
	if len(entries) > 1 {
		what = fmt.Sprintf("%d entries", len(entries))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s to fill in: answer, statement and who says it; remove what nobody answers yet\n", what)
	_, err := fmt.Fprintln(cmd.OutOrStdout(), f.out)
	return err
}
