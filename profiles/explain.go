package profiles

import "assay/profiles/expr"

// A Clause is one condition of a check's given or expect, and how it came out.
type Clause struct {
	Condition string `json:"condition"`
	Outcome   string `json:"outcome"`
}

// How a part came out. One that compares with the dossier is not told by the facts alone.
const (
	ClauseHolds    = "holds"
	ClauseFails    = "does not hold"
	ClauseDeclared = "compares with the dossier"
	ClauseUnknown  = "has no answer"
)

// Parts tells condition by condition how given and expect came out over facts. It is for reading; the verdict is
// the judge's.
func (c *CompiledCheck) Parts(facts map[string]any) (given, expect []Clause) {
	return parts(c.given, facts), parts(c.expect, facts)
}

func parts(p *expr.Program, facts map[string]any) []Clause {
	if p == nil {
		return nil
	}
	var out []Clause
	for _, one := range p.Parts() {
		o := Clause{one.Source, ClauseFails}
		holds, err := one.Holds(facts, nil)
		switch {
		case len(one.RefersTo("dossier")) > 0:
			o.Outcome = ClauseDeclared
		case err != nil:
			o.Outcome = ClauseUnknown
		case holds:
			o.Outcome = ClauseHolds
		}
		out = append(out, o)
	}
	return out
}
