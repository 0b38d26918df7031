// Package crosswalk lays one run beside every scheme at once: row by row of the leading standard, what
// each other standard's counterpart came to. It judges nothing and merges no verdicts: a pass under one
// scheme is shown beside another's, never instead of it.
package crosswalk

import (
	"maps"
	"slices"
	"strings"

	"assay/profiles"
	"assay/reports/verdict"
)

// A Table is the whole picture.
type Table struct {
	Run       string   `json:"run"`
	Device    string   `json:"device"`
	Basis     string   `json:"basis"`     // of the links between standards
	Certainty string   `json:"certainty"` // of the links
	Schemes   []Scheme `json:"schemes"`
	Rows      []Row    `json:"rows"`
	Unlinked  []Cell   `json:"unlinked"` // requirements that no row leads to
}

// A Scheme is one standard and the statement over it, by its own profile.
type Scheme struct {
	ID         string             `json:"id"`
	Edition    string             `json:"edition"`
	Title      string             `json:"title"`
	Conformity verdict.Conformity `json:"conformity,omitempty"` // empty: ids to refer to only
	Reason     string             `json:"reason,omitempty"`
	Pass       int                `json:"pass"`
	Fail       int                `json:"fail"`
	Open       int                `json:"inconclusive"`
	Spared     int                `json:"not_applicable"`
	Presumed   []string           `json:"presumption,omitempty"` // what conformity is presumed to show, with its day
}

// A Row is one requirement of the leading standard and its counterparts.
type Row struct {
	Cell
	Title     string `json:"title"`
	Closeness string `json:"closeness"`
	Note      string `json:"note,omitempty"`
	To        []Cell `json:"to"`
}

// A Cell is one requirement. Its verdict is empty where the scheme's profile does not ask it.
type Cell struct {
	Standard string          `json:"standard"`
	ID       string          `json:"id"`
	Verdict  verdict.Verdict `json:"verdict,omitempty"`
}

// Make lays results beside each other. A standard is judged by the profile of the same name.
func Make(run, device string, all *profiles.Everything, results []*verdict.Result) *Table {
	t := &Table{Run: run, Device: device}
	found := map[string]verdict.Requirement{}
	for _, s := range all.Standards {
		one := Scheme{ID: s.ID, Edition: s.Edition, Title: s.Title}
		if i := slices.IndexFunc(results, func(r *verdict.Result) bool { return r.ID == s.ID }); i >= 0 {
			one.take(results[i])
			for _, r := range results[i].Requirements {
				found[s.ID+"/"+r.ID] = r
			}
		}
		t.Schemes = append(t.Schemes, one)
	}
	if all.Crosswalk == nil {
		return t
	}
	t.Basis, t.Certainty = all.Crosswalk.Basis, all.Crosswalk.Certainty
	linked := map[string]bool{}
	cell := func(standard, id string) Cell {
		linked[standard+"/"+id] = true
		return Cell{standard, id, found[standard+"/"+id].Verdict}
	}
	for _, link := range all.Crosswalk.Rows {
		standard, id, _ := strings.Cut(link.From, "/")
		row := Row{Cell: cell(standard, id), Title: found[link.From].Title, Closeness: link.Closeness, Note: link.Note}
		for _, to := range slices.Sorted(maps.Keys(link.To)) {
			for _, other := range link.To[to] {
				row.To = append(row.To, cell(to, other))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	for _, s := range all.Standards {
		for _, r := range s.Requirements {
			if !s.Reference && !linked[s.ID+"/"+r.ID] {
				t.Unlinked = append(t.Unlinked, cell(s.ID, r.ID))
			}
		}
	}
	return t
}

// take counts one scheme's verdicts.
func (s *Scheme) take(r *verdict.Result) {
	s.Conformity, s.Reason = r.Conformity, r.Reason
	for _, q := range r.Requirements {
		switch q.Verdict {
		case verdict.Pass:
			s.Pass++
		case verdict.Fail:
			s.Fail++
		case verdict.NotApplicable:
			s.Spared++
		default:
			s.Open++
		}
	}
	for _, std := range r.Standards {
		for _, f := range std.Register {
			if std.ID == s.ID && f.Kind == profiles.Presumption {
				s.Presumed = append(s.Presumed, f.Says+" (as of "+f.AsOf+", "+f.Certainty+")")
			}
		}
	}
}

// Columns lists the schemes that the rows lead to, in the order of Schemes, without the leading one.
func (t *Table) Columns() []string {
	used := map[string]bool{}
	for _, r := range t.Rows {
		for _, c := range r.To {
			used[c.Standard] = true
		}
	}
	var out []string
	for _, s := range t.Schemes {
		if used[s.ID] {
			out = append(out, s.ID)
		}
	}
	return out
}

// In picks a row's counterparts in one scheme.
func (r Row) In(standard string) []Cell {
	var out []Cell
	for _, c := range r.To {
		if c.Standard == standard {
			out = append(out, c)
		}
	}
	return out
}
