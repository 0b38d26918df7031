package profiles

import (
	"fmt"
	"reflect"

	"assay/profiles/expr"
)

// Declared is what a check can ask about the dossier, as dossier.<JSON name>: the part of a
// declaration that can be held against what was seen. Names are API: a check that was written
// down with evidence is compiled again years later.
type Declared struct {
	// Services are the ports declared to answer on the unit in its state, e.g. "tcp/8443". One that
	// a row of the IXIT declares disabled is not among them, whatever other rows say.
	Services []string `json:"services"`
	// SetupServices are those declared to answer only until the product is set up; none for a unit
	// that is declared to be set up.
	SetupServices []string `json:"setup_services"`
	// ICSGiven tells whether the dossier has an ICS.
	ICSGiven bool `json:"ics_given"`
	// ICSMissing are the provisions that the ICS says nothing about, e.g. "5.1-1".
	ICSMissing []string `json:"ics_missing"`
	// ICSUnjustified are those that it answers with N or N/A and no reason.
	ICSUnjustified []string `json:"ics_unjustified"`
}

// values are the fields by name, as expressions take them.
func (d Declared) values() map[string]any {
	out := map[string]any{}
	// Only a field without a name or of a type that cannot be compared is an error; the fields are fixed.
	_ = eachField(reflect.ValueOf(d), func(name string, _ expr.Type, v reflect.Value, _ bool) error {
		out[name] = v.Interface()
		return nil
	})
	return out
}

// declarations are the fields and their types.
func declarations() (map[string]expr.Type, error) {
	out := map[string]expr.Type{}
	err := eachField(reflect.ValueOf(Declared{}), func(name string, t expr.Type, _ reflect.Value, _ bool) error {
		out[name] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what can be declared: %w", err)
	}
	return out, nil
}
