package reports

import (
	"assay/probes"
	"assay/profiles"
)

// Explain tells condition by condition how a check's given and expect came out over an observation; nothing where
// that has no facts, or none that the check can read.
func (r *Report) Explain(check string, o probes.Observation) (given, expect []profiles.Clause) {
	if r.set == nil || len(o.Facts) == 0 {
		return nil, nil
	}
	c, ok := r.set.Check(check)
	if !ok {
		return nil, nil
	}
	facts, err := r.set.Schemas[o.Probe].Decode(o.Version, o.Facts)
	if err != nil {
		return nil, nil
	}
	return c.Parts(facts)
}
