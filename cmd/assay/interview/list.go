package interview

import (
	"fmt"
	"io"
	"strings"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// A Listed unit is what a program is told of it.
type Listed struct {
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

// List says which units are open, for a reader.
func List(w io.Writer, units []review.Unit) error {
	var p page
	var open, spared int
	last := ""
	for _, u := range units {
		if u.Spared != "" {
			spared++
		}
		if !u.Open() {
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

// ListAll tells programs of every unit, and whether it is open.
func ListAll(units []review.Unit, d *dossier.Dossier) []Listed {
	out := []Listed{}
	for _, u := range units {
		out = append(out, listed(u, d))
	}
	return out
}

func listed(u review.Unit, d *dossier.Dossier) Listed {
	out := Listed{
		Address: u.Address, Requirement: u.Requirement.ID, Title: u.Requirement.Title, Level: u.Requirement.Level,
		Case: u.Case.ID, Kind: u.Case.Kind, Needs: u.Case.Needs, Class: u.Unit.Review, Asks: u.Unit.Asks, Category: u.Unit.Category,
		Checks: u.Unit.Checks, Verdicts: u.Case.Verdicts, Tree: u.Case.Tree, Limits: restrictionsOf(u.Requirement), Open: u.Open(), Because: u.Lacks,
	}
	if u.Spared != "" {
		out.Because = u.Spared
	}
	if u.Said != nil {
		out.Answered = u.Said.Answer
	}
	for _, r := range d.Declarations(u.Case.IXIT) {
		out.Rows = append(out.Rows, r.Address)
	}
	return out
}
