// Package ics fills the tables of ETSI TS 103 701 from a record: the ICS with every provision of EN 303 645,
// its status, what the maker claims and what the run came to, and the 29 IXIT tables as declared. What
// the maker did not write stays empty, and what the profile did not ask says so.
package ics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/reports"
	"assay/reports/markdown"
	"assay/reports/verdict"
)

// Standard is the standard whose tables these are.
const Standard = "etsi-en-303-645"

// NotAsked is the verdict of a provision that the profile left out.
const NotAsked = "not asked by this profile"

// A Document is all tables of one report.
type Document struct {
	Run      string         `json:"run"`
	Through  string         `json:"amended_through"`
	Device   reports.Device `json:"device"`
	Standard string         `json:"standard"`
	Edition  string         `json:"edition"`
	ICS      []Provision    `json:"ics"`
	IXIT     []Table        `json:"ixit"`
	Limits   []string       `json:"limits"`
}

// A Provision is one row of the ICS with its verdict.
type Provision struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Status  string `json:"status"`  // the standard's own code
	Support string `json:"support"` // Y, N or N/A; empty: the maker says nothing
	Detail  string `json:"detail,omitempty"`
	Verdict string `json:"verdict"`
	Reason  string `json:"reason,omitempty"`
}

// A Table is one IXIT table as declared; it has no rows where nothing was.
type Table struct {
	Name string `json:"name"`
	Rows []Row  `json:"rows"`
}

// A Row is one declaration.
type Row struct {
	Address     string   `json:"address"`
	Description string   `json:"description,omitempty"`
	Says        []string `json:"says,omitempty"`
}

// standard reads titles and status codes of every provision, whatever the profile takes.
var standard = sync.OnceValues(func() (map[string]profiles.Requirement, error) {
	schemas, err := profiles.Schemas(catalog.All())
	if err != nil {
		return nil, fmt.Errorf("read the probes' schemas: %w", err)
	}
	list, err := profiles.Standards(profiles.Embedded(), schemas)
	if err != nil {
		return nil, fmt.Errorf("read the embedded standards: %w", err)
	}
	out := map[string]profiles.Requirement{}
	for _, s := range list {
		if s.ID != Standard || s.Edition != dossier.Edition {
			continue
		}
		for _, q := range s.Requirements {
			out[q.ID] = q
		}
	}
	return out, nil
})

// Make fills the tables.
func Make(r *reports.Report) (*Document, error) {
	known, err := standard()
	if err != nil {
		return nil, err
	}
	d := r.Dossier
	if d == nil {
		d = &dossier.Dossier{}
	}
	out := &Document{Run: reports.Plain(r.Run), Through: reports.Plain(r.Through.String()), Device: reports.Device{Manufacturer: reports.Plain(r.Device.Manufacturer), Model: reports.Plain(r.Device.Model), Firmware: reports.Plain(r.Device.Firmware)},
		Standard: Standard, Edition: dossier.Edition, Limits: r.Limits()}
	for _, id := range dossier.Provisions() {
		claim, _ := d.Support(id)
		row := Provision{ID: id, Title: known[id].Title, Status: known[id].Status, Support: claim.Support, Detail: written(claim.Detail), Verdict: NotAsked}
		for _, p := range r.Profiles {
			for _, q := range p.Requirements {
				if q.ID == id && q.Standard == Standard && q.Edition == dossier.Edition {
					row.Verdict, row.Reason = worse(row, q)
				}
			}
		}
		out.ICS = append(out.ICS, row)
	}
	for _, name := range dossier.Tables() {
		t := Table{Name: name, Rows: []Row{}}
		for _, one := range d.Declarations([]string{name}) {
			row := Row{Address: reports.Plain(one.Address), Description: written(one.Description)}
			for _, s := range one.Says {
				if _, value, _ := strings.Cut(s, ": "); written(value) != "" {
					row.Says = append(row.Says, reports.Plain(s))
				}
			}
			t.Rows = append(t.Rows, row)
		}
		out.IXIT = append(out.IXIT, t)
	}
	return out, nil
}

// written is what the maker wrote; a place that is still to fill in is empty.
func written(s string) string {
	if !dossier.Reasoned(s) {
		return ""
	}
	return reports.Plain(s)
}

// worse keeps the verdict that a reader looks for first, where several profiles ask the same.
func worse(have Provision, q verdict.Requirement) (string, string) {
	v := reports.Closed(q.Verdict)
	if have.Verdict != NotAsked && slices.Index(reports.Worst, verdict.Verdict(have.Verdict)) <= slices.Index(reports.Worst, v) {
		return have.Verdict, have.Reason
	}
	return string(v), reports.Plain(q.Reason)
}

// WriteJSON renders the tables for machines.
func WriteJSON(w io.Writer, r *reports.Report) error {
	d, err := Make(r)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return fmt.Errorf("write the ICS of %s: %w", r.Run, err)
	}
	return nil
}

// Write renders the tables as Markdown.
func Write(w io.Writer, r *reports.Report) error {
	d, err := Make(r)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# ICS and IXIT of %s\n\nEN 303 645 %s, by the tables of TS 103 701. Report %s, amended through: %s.\n\n", markdown.Escape(r.Device.Item()), d.Edition, markdown.Escape(d.Run), markdown.Escape(d.Through))
	fmt.Fprintf(&b, "## Implementation conformance statement: %d provisions\n\n", len(d.ICS))
	var rows [][]string
	for _, p := range d.ICS {
		v := p.Verdict
		if v != NotAsked {
			v = reports.Sign(verdict.Verdict(v)) + " " + v
		}
		rows = append(rows, []string{p.ID, p.Title, p.Status, p.Support, p.Detail, v})
	}
	markdown.Table(&b, []string{"Provision", "What it asks", "Status", "Support", "Detail", "Verdict"}, rows)
	fmt.Fprintf(&b, "## Implementation extra information for testing: %d tables\n\n", len(d.IXIT))
	for _, t := range d.IXIT {
		fmt.Fprintf(&b, "### %s\n\n", markdown.Escape(t.Name))
		if len(t.Rows) == 0 {
			fmt.Fprint(&b, "Nothing is declared.\n\n")
			continue
		}
		rows = nil
		for _, one := range t.Rows {
			rows = append(rows, []string{one.Address, one.Description, strings.Join(one.Says, "; ")})
		}
		markdown.Table(&b, []string{"Row", "Description", "Further fields"}, rows)
	}
	fmt.Fprint(&b, "## Limits\n\n")
	for _, l := range d.Limits {
		fmt.Fprintf(&b, "- %s\n", markdown.Escape(l))
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the ICS of %s: %w", r.Run, err)
	}
	return nil
}
