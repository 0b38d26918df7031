package dossier

import (
	"encoding/json"
	"reflect"
	"slices"
)

// A Declaration is one row of the IXIT as people read it, secrets withheld.
type Declaration struct {
	Table       string
	Address     string   // e.g. 7-UpdMech/UpdMech-1, or 2-UserInfo
	Description string   // empty for a table that is one record
	Says        []string // what else it says, e.g. "lockout_after: 5", in the order of the table
}

// Declarations lists the rows of some tables, in the order of the standard.
func (d *Dossier) Declarations(tables []string) []Declaration {
	hide := hider(d.secrets())
	var out []Declaration
	for _, r := range copyOf(d.IXIT).all() {
		if !slices.Contains(tables, r.table) || r.id == "" && !r.single() {
			continue
		}
		replace(r.value, hide)
		one := Declaration{Table: r.table, Address: r.address()}
		for _, f := range fieldsOf(r.value.Type()) {
			v := r.value.Field(f.index)
			switch {
			case f.name == "id" || v.IsZero():
			case f.name == "description":
				one.Description = v.String()
			default:
				one.Says = append(one.Says, f.name+": "+said(v))
			}
		}
		out = append(out, one)
	}
	return out
}

// said writes a value on one line: text as it is, all else as JSON.
func said(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return v.String()
	}
	b, err := json.Marshal(v.Interface())
	if err != nil {
		// Every field of a table is text, number, list or struct of those; JSON has a form for all of them.
		panic("dossier: declarations: " + err.Error())
	}
	return string(b)
}
