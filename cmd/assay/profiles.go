package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"assay/probes/catalog"
	"assay/profiles"
)

func profilesCommand() *cobra.Command {
	list := profilesListCommand()
	cmd := &cobra.Command{
		Use: "profiles", Short: "List profiles and standards, show one, check one of your own, see who answers what",
		Args: noArgs, RunE: list.RunE, PreRunE: list.PreRunE,
	}
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, profilesShowCommand(), profilesLintCommand(), profilesCoverageCommand())
	return cmd
}

// library reads every embedded standard.
func library() ([]*profiles.Standard, map[string]profiles.Schema, error) {
	schemas, err := profiles.Schemas(catalog.All())
	if err != nil {
		return nil, nil, fmt.Errorf("read the probes' schemas: %w", err)
	}
	standards, err := profiles.Standards(profiles.Embedded(), schemas)
	if err != nil {
		return nil, nil, fmt.Errorf("read the embedded standards: %w", err)
	}
	return standards, schemas, nil
}

// A profileRow and a standardRow are what the list says of one.
type (
	profileRow struct {
		ID           string   `json:"id"`
		Version      string   `json:"version"`
		Title        string   `json:"title"`
		Standards    []string `json:"standards"`
		Requirements int      `json:"requirements"`
		Mandatory    int      `json:"mandatory"`
		Omitted      string   `json:"omitted,omitempty"`
	}
	standardRow struct {
		ID        string         `json:"id"`
		Edition   string         `json:"edition"`
		Title     string         `json:"title"`
		Tests     string         `json:"tests,omitempty"`
		Reference bool           `json:"reference,omitempty"`
		Parts     map[string]int `json:"parts,omitempty"` // requirements of each
		profiles.Coverage
		Recalled int `json:"recalled"` // requirements that were not seen in a source
	}
)

func profilesListCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "list", Short: "List the embedded profiles and standards with their counts", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listProfiles(cmd.OutOrStdout(), format) },
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func listProfiles(w io.Writer, format string) error {
	standards, schemas, err := library()
	if err != nil {
		return err
	}
	sets, err := profiles.LoadEach(profiles.Embedded(), profiles.List(profiles.Embedded()), schemas)
	if err != nil {
		return fmt.Errorf("load the embedded profiles: %w", err)
	}
	var out struct {
		Profiles  []profileRow  `json:"profiles"`
		Standards []standardRow `json:"standards"`
	}
	for _, set := range sets {
		r := profileRow{ID: set.Profile.ID, Version: set.Profile.Version, Title: set.Profile.Title, Requirements: len(set.Required()), Omitted: set.Omitted.String()}
		for _, s := range set.Standards {
			r.Standards = append(r.Standards, s.ID)
		}
		for _, q := range set.Required() {
			if q.Level == profiles.Mandatory {
				r.Mandatory++
			}
		}
		out.Profiles = append(out.Profiles, r)
	}
	for _, s := range standards {
		out.Standards = append(out.Standards, standardRow{s.ID, s.Edition, s.Title, s.Tests, s.Reference, s.ByPart(), s.Coverage(), recalled(s)})
	}
	if format == "json" {
		return writeJSON(w, out)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "PROFILE\tVERSION\tREQUIREMENTS\tMANDATORY\tTITLE\n")
	for _, r := range out.Profiles {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\n", r.ID, r.Version, r.Requirements, r.Mandatory, r.Title)
	}
	fmt.Fprintf(t, "\nSTANDARD\tEDITION\tREQUIREMENTS\tMANDATORY\tCASES\tUNITS\tRECALLED\tTITLE\n")
	for _, r := range out.Standards {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", r.ID, r.Edition, r.Requirements, r.Mandatory, r.Cases, r.Units, r.Recalled, r.words())
	}
	return t.Flush()
}

func recalled(s *profiles.Standard) int {
	n := 0
	for _, r := range s.Requirements {
		if r.Certainty == "recalled" {
			n++
		}
	}
	return n
}

// words are a standard's title, its parts, and whether it is only referred to.
func (r standardRow) words() string {
	s := r.Title
	if r.Tests != "" {
		s += ", tested by " + r.Tests
	}
	if r.Reference {
		s += " (ids to refer to)"
	}
	return s
}

func profilesLintCommand() *cobra.Command {
	return &cobra.Command{
		Use: "lint [PROFILE.yaml]", Short: "Check the embedded data, or a profile of your own, for mistakes",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				set, err := loadProfile(args[0], catalog.All())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s version %s is clean: %d requirements, %d checks, %d reviews\n",
					set.Profile.ID, set.Profile.Version, len(set.Required()), len(set.Checks()), len(set.Wanted()))
				return err
			}
			_, schemas, err := library()
			if err != nil {
				return err
			}
			if err := profiles.Lint(profiles.Embedded(), schemas); err != nil {
				return unusable(err, "mend the embedded data")
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "every embedded standard, check, profile, dated fact and link is clean")
			return err
		},
	}
}

func profilesCoverageCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "coverage [STANDARD ...]", Short: "Count, per standard, which units a check, a reviewer or nothing answers",
		RunE: func(cmd *cobra.Command, args []string) error {
			standards, _, err := library()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				if standards, err = chosen(standards, args); err != nil {
					return err
				}
			}
			return sayCoverage(cmd.OutOrStdout(), standards, format)
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// chosen picks standards by their ids.
func chosen(standards []*profiles.Standard, ids []string) ([]*profiles.Standard, error) {
	var out []*profiles.Standard
	for _, id := range ids {
		i := slices.IndexFunc(standards, func(s *profiles.Standard) bool { return s.ID == id })
		if i < 0 {
			return nil, unusable(errors.New("there is no standard "+quote(id)), "`assay profiles list` lists them")
		}
		out = append(out, standards[i])
	}
	return out, nil
}

func sayCoverage(w io.Writer, standards []*profiles.Standard, format string) error {
	if format == "json" {
		rows := map[string]profiles.Coverage{}
		for _, s := range standards {
			rows[s.ID] = s.Coverage()
		}
		return writeJSON(w, rows)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(t, "STANDARD\tUNITS\tCHECK\tCHECK+REVIEW\tREVIEW (PAPERS)\tREVIEW (BY HAND)\tNOTHING YET\t\n")
	for _, s := range standards {
		c := s.Coverage()
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", s.ID, c.Units, c.Checked, c.Both, c.Document, c.Attestation, c.Nothing, bar(c))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range standards {
		if c := s.Coverage(); c.Uncased > 0 {
			fmt.Fprintf(w, "%s: %d of %d requirements have no test case here: nothing answers them yet\n", s.ID, c.Uncased, c.Requirements)
		}
	}
	_, err := fmt.Fprintln(w, "# by a check   + by a check and a reviewer   . by a reviewer   (blank) by nothing yet")
	return err
}

// bar draws a coverage in forty characters; what is there at all shows.
func bar(c profiles.Coverage) string {
	if c.Units == 0 {
		return ""
	}
	const width = 40
	var b strings.Builder
	for _, part := range []struct {
		n    int
		sign string
	}{{c.Checked, "#"}, {c.Both, "+"}, {c.Document + c.Attestation, "."}} {
		n := part.n * width / c.Units
		if part.n > 0 {
			n = max(n, 1)
		}
		b.WriteString(strings.Repeat(part.sign, n))
	}
	if c.Nothing == 0 {
		b.WriteString(strings.Repeat(".", max(0, width-b.Len()))) // what rounding left over
	}
	return "[" + fmt.Sprintf("%-*s", width, b.String()) + "]"
}
