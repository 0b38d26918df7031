package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"assay/probes/catalog"
	"assay/profiles"
)

func profilesShowCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show PROFILE|STANDARD [REQUIREMENT ...]",
		Short: "Print what a profile or a standard asks, down to its units, and who answers",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			standards, schemas, err := library()
			if err != nil {
				return err
			}
			register, err := profiles.Register(profiles.Embedded(), schemas)
			if err != nil {
				return err
			}
			head := ""
			if i := slices.IndexFunc(standards, func(s *profiles.Standard) bool { return s.ID == args[0] }); i >= 0 {
				standards = standards[i : i+1]
			} else {
				set, err := loadProfile(args[0], catalog.All())
				if err != nil {
					return err
				}
				standards = set.Standards
				head = fmt.Sprintf("profile %s version %s: %s\n", set.Profile.ID, set.Profile.Version, set.Profile.Title)
				if left := set.Omitted.String(); left != "" {
					head += left + "\n"
				}
			}
			if standards, err = only(standards, args[1:]); err != nil {
				return err
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), standards)
			}
			if _, err := io.WriteString(cmd.OutOrStdout(), head); err != nil {
				return err
			}
			for _, s := range standards {
				if err := showStandard(cmd.OutOrStdout(), s, register); err != nil {
					return err
				}
			}
			return nil
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// only keeps the requirements with the given ids; none: all.
func only(standards []*profiles.Standard, ids []string) ([]*profiles.Standard, error) {
	if len(ids) == 0 {
		return standards, nil
	}
	var out []*profiles.Standard
	found := map[string]bool{}
	for _, s := range standards {
		less := *s
		less.Requirements = slices.DeleteFunc(slices.Clone(s.Requirements), func(r profiles.Requirement) bool { return !slices.Contains(ids, r.ID) })
		for _, r := range less.Requirements {
			found[r.ID] = true
		}
		if len(less.Requirements) > 0 {
			out = append(out, &less)
		}
	}
	for _, id := range ids {
		if !found[id] {
			return nil, unusable(errors.New("there is no requirement "+quote(id)+" in it"), "leave the id out to see all")
		}
	}
	return out, nil
}

func showStandard(w io.Writer, s *profiles.Standard, register []profiles.DatedFact) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, edition %s: %s\n", s.ID, s.Edition, s.Title)
	if s.Tests != "" {
		fmt.Fprintf(&b, "  tested by %s\n", s.Tests)
	}
	for _, p := range s.Parts {
		fmt.Fprintf(&b, "  part %s: %s (%d requirements)\n", p.ID, p.Title, s.ByPart()[p.ID])
	}
	for _, x := range s.Restrictions {
		fmt.Fprintf(&b, "  restriction %s (%s): %s\n", x.ID, x.Certainty, strings.TrimSpace(x.Effect))
	}
	for _, f := range register {
		if slices.Contains(f.Standards, s.ID) {
			fmt.Fprintf(&b, "  %s as of %s (%s): %s\n", f.Kind, f.AsOf, f.Certainty, strings.TrimSpace(f.Says))
		}
	}
	for _, r := range s.Requirements {
		showRequirement(&b, r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func showRequirement(b *strings.Builder, r profiles.Requirement) {
	fmt.Fprintf(b, "\n  %s  %s  [%s", r.ID, r.Title, r.Level)
	if r.Status != "" {
		fmt.Fprintf(b, ", %s", r.Status)
	}
	fmt.Fprintf(b, ", %s]\n", r.Certainty)
	if r.Condition != "" {
		fmt.Fprintf(b, "    applies where: %s", strings.TrimSpace(r.Condition))
		if r.Applies != "" {
			fmt.Fprintf(b, " (%s)", r.Applies)
		}
		b.WriteString("\n")
	}
	if len(r.Restrictions) > 0 {
		fmt.Fprintf(b, "    restricted by %s\n", strings.Join(r.Restrictions, ", "))
	}
	for _, c := range r.Cases {
		fmt.Fprintf(b, "    %s %s", c.ID, c.Kind)
		if len(c.IXIT) > 0 {
			fmt.Fprintf(b, ", compares %s", strings.Join(c.IXIT, ", "))
		}
		if c.Needs != "" {
			fmt.Fprintf(b, ", needs %s", c.Needs)
		}
		b.WriteString("\n")
		for _, n := range c.Tree {
			fmt.Fprintf(b, "      %s %s  yes: %s, no: %s\n", n.ID, n.Asks, n.Yes, n.No)
		}
		for _, u := range c.Units {
			if u.Category != "" {
				fmt.Fprintf(b, "      %s (%s) %s\n", u.ID, u.Category, u.Asks)
			} else {
				fmt.Fprintf(b, "      %s %s\n", u.ID, u.Asks)
			}
			fmt.Fprintf(b, "        %s\n", answeredBy(u))
		}
	}
}

func answeredBy(u profiles.Unit) string {
	var by []string
	if len(u.Checks) > 0 {
		by = append(by, "checks "+strings.Join(u.Checks, ", "))
	}
	switch u.Review {
	case profiles.Document:
		by = append(by, "a reviewer who reads")
	case profiles.Attestation:
		by = append(by, "a reviewer who tries it by hand")
	}
	if len(by) == 0 {
		return "answered by nothing yet"
	}
	return "answered by " + strings.Join(by, ", and ")
}
