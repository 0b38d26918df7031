package verdict

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/strict"
)

// commissioned is the state of a unit that is declared to be set up.
const commissioned = "commissioned"

// declared is what checks may ask about the dossier when they look at an observation of a unit.
// Every row that names the port counts, whatever its table: one that says it is disabled counts most.
func declared(d *dossier.Dossier, unit string) profiles.Declared {
	disabled, inUse, setup := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, l := range d.Listens() {
		switch name := socket(l); {
		case l.Status == "disabled":
			disabled[name] = true
		case l.InUse():
			inUse[name] = true
		case stateOf(d, unit) != commissioned:
			setup[name] = true
		}
	}
	out := profiles.Declared{Services: []string{}, SetupServices: []string{}}
	for _, name := range slices.Sorted(maps.Keys(inUse)) {
		if !disabled[name] {
			out.Services = append(out.Services, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(setup)) {
		if !disabled[name] && !inUse[name] {
			out.SetupServices = append(out.SetupServices, name)
		}
	}
	claims(d, &out)
	return out
}

// claims tells what the ICS leaves unsaid or without a reason.
func claims(d *dossier.Dossier, out *profiles.Declared) {
	out.ICSGiven, out.ICSMissing, out.ICSUnjustified = d.ICS != nil, []string{}, []string{}
	for _, id := range dossier.Provisions() {
		switch claim, ok := d.Support(id); {
		case !ok:
			out.ICSMissing = append(out.ICSMissing, id)
		case !claim.Justified():
			out.ICSUnjustified = append(out.ICSUnjustified, id)
		}
	}
}

// socket is how checks and facts name a port: tcp/8443.
func socket(l dossier.Listening) string { return fmt.Sprintf("%s/%d", l.Protocol, l.Port) }

func stateOf(d *dossier.Dossier, unit string) string {
	for _, u := range d.Units {
		if u.ID == unit {
			return u.State
		}
	}
	return ""
}

// compared finds the declaration of each thing that a failure is about, by its first word, as in
// "tcp/2323 telnet". rows are the addresses to compare; the table, where nobody declared it.
func compared(d *dossier.Dossier, about []string, table string) (words, rows []string) {
	for _, a := range about {
		name, _, _ := strings.Cut(a, " ")
		var found []string
		for _, l := range d.Listens() {
			if socket(l) == name && !slices.Contains(found, l.Row) {
				found = append(found, l.Row)
			}
		}
		switch {
		case len(found) > 0:
			a += " (" + strings.Join(found, ", ") + ")"
		case table != "":
			a += " (not declared in " + table + ")"
			found = []string{table}
		}
		words = append(words, a)
		for _, row := range found {
			if !slices.Contains(rows, row) {
				rows = append(rows, row)
			}
		}
	}
	return words, rows
}

// few names some of many.
func few(names []string) string { return strict.Few(names, 12) }
