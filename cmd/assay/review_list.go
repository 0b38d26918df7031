package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// A listedUnit is what --list --format json says of a unit.
type listedUnit struct {
	Address     string                 `json:"address"`
	Requirement string                 `json:"requirement"`
	Title       string                 `json:"title"`
	Level       string                 `json:"level"`
	Case        string                 `json:"case"`
	Kind        string                 `json:"kind"`
	Needs       string                 `json:"needs,omitempty"`
	Class       profiles.Class         `json:"class"`
	Asks        string                 `json:"asks"`
	Category    string                 `json:"category,omitempty"`
	Checks      []string               `json:"checks,omitempty"`
	Rows        []string               `json:"rows,omitempty"` // addresses of the declared rows that the case compares
	Verdicts    string                 `json:"verdicts,omitempty"`
	Tree        []profiles.Node        `json:"tree,omitempty"`
	Limits      []profiles.Restriction `json:"restrictions,omitempty"`
	Answered    review.Answer          `json:"answered,omitempty"` // what the file says, also where it does not count
	Open        bool                   `json:"open"`               // it wants an answer
	Because     string                 `json:"because,omitempty"`  // why it is open in spite of an answer, or spared
}

// listUnits prints what is open; as JSON, every unit and whether it is.
func listUnits(w io.Writer, units []reviewUnit, d *dossier.Dossier, format string) error {
	if format == "json" {
		out := []listedUnit{}
		for _, u := range units {
			out = append(out, listed(u, d))
		}
		return writeJSON(w, out)
	}
	var p page
	var open, spared int
	last := ""
	for _, u := range units {
		if u.spared != "" {
			spared++
		}
		if !u.open() {
			continue
		}
		open++
		if r := u.Requirement; r.Address() != last {
			last = r.Address()
			p.WriteString("\n")
			p.put(r.ID+"  ", fmt.Sprintf("%s [%s]", r.Title, r.Level))
		}
		what := u.Case.Kind
		if u.Unit.Category != "" {
			what += ", category " + u.Unit.Category
		}
		if len(u.Case.Tree) > 0 {
			what += ", decision tree"
		}
		p.put("  "+u.Address+"  ", fmt.Sprintf("(%s, wants %s)", what, u.Unit.Review))
		p.put("    ", u.Unit.Asks)
		p.before(u)
	}
	p.WriteString("\n")
	p.put("", fmt.Sprintf("%d of %s open, %d answered, %d spared by the dossier", open, numberOf(len(units), "unit"), len(units)-open-spared, spared))
	_, err := io.WriteString(w, strings.TrimPrefix(p.String(), "\n"))
	return err
}

func listed(u reviewUnit, d *dossier.Dossier) listedUnit {
	out := listedUnit{
		Address: u.Address, Requirement: u.Requirement.ID, Title: u.Requirement.Title, Level: u.Requirement.Level,
		Case: u.Case.ID, Kind: u.Case.Kind, Needs: u.Case.Needs, Class: u.Unit.Review, Asks: u.Unit.Asks, Category: u.Unit.Category,
		Checks: u.Unit.Checks, Verdicts: u.Case.Verdicts, Tree: u.Case.Tree, Limits: restrictionsOf(u.Requirement), Open: u.open(), Because: u.lacks,
	}
	if u.spared != "" {
		out.Because = u.spared
	}
	if u.said != nil {
		out.Answered = u.said.Answer
	}
	for _, r := range d.Declarations(u.Case.IXIT) {
		out.Rows = append(out.Rows, r.Address)
	}
	return out
}

// templateOf is reviews to fill in with an editor: an entry for each open unit, with nothing answered.
func templateOf(units []reviewUnit, d *dossier.Dossier, by review.Person, expires string, now time.Time) []review.Review {
	if expires == "" {
		expires = now.UTC().AddDate(1, 0, 0).Format(time.DateOnly)
	}
	var out []review.Review
	for _, u := range units {
		if !u.open() || u.said != nil {
			continue
		}
		r := review.Review{Units: []string{u.Address}, Answer: review.Open, By: by, Date: now.UTC().Format(time.DateOnly), Expires: expires}
		for _, row := range d.Declarations(u.Case.IXIT) {
			r.Rows = append(r.Rows, row.Address)
		}
		if len(u.Case.Tree) > 0 {
			r.Items = []review.Item{{}}
		}
		out = append(out, r)
	}
	return out
}
