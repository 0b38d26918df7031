package dossier

import (
	"fmt"
	"slices"
	"strings"
)

// A row is one row of any table, as addresses and checks see it.
type row struct {
	table, id, description string
	key                    string              // in the file
	about                  map[string][]string // its machine fields: interface, via, by
}

func (r row) address() string { return r.table + "/" + r.id }

// all lists every row of every table.
func (x IXIT) all() []row {
	var rows []row
	add := func(table string, i int, id, description string, about map[string][]string) {
		rows = append(rows, row{table, id, description, fmt.Sprintf("ixit.%s[%d]", table, i), about})
	}
	for i, r := range x.AuthMech {
		add("1-AuthMech", i, r.ID, r.Description, map[string][]string{"interface": {r.Interface}})
	}
	for i, r := range x.UpdMech {
		add("7-UpdMech", i, r.ID, r.Description, map[string][]string{"via": r.Via})
	}
	for i, r := range x.DelFunc {
		add("25-DelFunc", i, r.ID, r.Description, map[string][]string{"by": {r.By}})
	}
	return rows
}

// Rows lists the addresses of a table's rows that speak of a probe's parameters, e.g.
// 7-UpdMech/UpdMech-1 for via=https. Empty means that the maker declared nothing about it.
func (d *Dossier) Rows(table string, parameters map[string]string) []string {
	var out []string
	for _, r := range d.IXIT.all() {
		if r.table != table {
			continue
		}
		for field, values := range r.about {
			if v, ok := parameters[field]; ok && slices.Contains(values, v) {
				out = append(out, r.address())
			}
		}
	}
	return out
}

// Lacks tells whether the dossier denies a feature, and why. A denial without a reason is
// no justification.
func (d *Dossier) Lacks(feature string) (because string, denied bool) {
	f, ok := d.Features[feature]
	return f.Because, ok && !f.Present
}

// Spared tells whether the dossier denies a feature with a reason: only then are its
// questions spared.
func (d *Dossier) Spared(feature string) bool {
	because, denied := d.Lacks(feature)
	return denied && strings.TrimSpace(because) != ""
}
