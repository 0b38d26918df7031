package verdict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
)

// A stepRecord is everything on record about one step, in order of attempts.
type stepRecord struct {
	observations []*entry
	gap          string // why attempts are missing; empty where none is
}

type entry struct {
	probes.Observation
	broken     string         // why it says nothing
	superseded bool           // it has no answer, and a later attempt has one
	facts      map[string]any // decoded, where they fit
	misfit     error          // why they do not
}

// read returns the facts for a check.
func (e *entry) read(c *profiles.CompiledCheck) (map[string]any, error) {
	if e.misfit != nil {
		return nil, e.misfit
	}
	return e.facts, profiles.Missing(e.facts, c.Needs())
}

// record sorts observations by the steps that the profile asks. One that no check of
// the profile asks for is left out. wanted are the units that each step was to be asked of.
func record(d *dossier.Dossier, set *profiles.Set, obs []probes.Observation, wanted []string) map[string]*stepRecord {
	records := map[string]*stepRecord{}
	steps := map[string]json.RawMessage{} // with their parameters
	for _, c := range set.Checks() {
		if c.Step != "" {
			steps[c.Step] = c.Params
		}
	}
	units := map[string]bool{}
	for _, u := range d.Units {
		units[u.ID] = true
	}
	put := func(step string, e *entry) {
		if steps[step] == nil {
			return
		}
		if records[step] == nil {
			records[step] = &stepRecord{}
		}
		records[step].observations = append(records[step].observations, e)
	}
	for _, o := range obs {
		e := &entry{Observation: o, broken: unusable(o, units)}
		asked := o.Step
		if schema, ok := set.Schemas[o.Probe]; !ok {
			e.broken = fmt.Sprintf("observation %s is by probe %q, which the profile does not know", clip(o.ID), clip(o.Probe))
		} else if bytes.Equal(o.With, steps[o.Step]) {
			// just as the planner wrote it
		} else if _, id, err := schema.FillJSON(o.With); err != nil {
			e.broken = fmt.Sprintf("observation %s has unusable parameters: %v", clip(o.ID), err)
		} else if asked = id; asked != o.Step {
			// Neither of the two steps may profit from it, and none may lose sight of it.
			e.broken = fmt.Sprintf("observation %s says that it is of %s, but its parameters are those of %s", clip(o.ID), clip(o.Step), asked)
			put(o.Step, e)
		}
		if e.broken == "" && len(o.Facts) > 0 {
			e.facts, e.misfit = set.Schemas[o.Probe].Decode(o.Version, o.Facts)
		}
		put(asked, e)
	}
	for step, r := range records {
		r.settle(step, wanted)
	}
	return records
}

// unusable says why an observation says nothing, whatever it says.
func unusable(o probes.Observation, units map[string]bool) string {
	answers := 0
	for _, has := range []bool{len(o.Facts) > 0, o.Error != "", o.NotAsked != ""} {
		if has {
			answers++
		}
	}
	switch {
	case answers != 1:
		return fmt.Sprintf("observation %s has %d of facts, error and not_asked: want one", clip(o.ID), answers)
	case o.Attempt < 1:
		return fmt.Sprintf("observation %s is attempt %d: attempts begin at 1", clip(o.ID), o.Attempt)
	case o.Unit != "" && !units[o.Unit]:
		return fmt.Sprintf("observation %s is of unit %q, which the dossier does not list", clip(o.ID), clip(o.Unit))
	}
	return ""
}

// settle orders a record, finds missing units and attempts and tells which failures a later answer has
// replaced. An answer of one unit replaces nothing of another's.
func (r *stepRecord) settle(step string, wanted []string) {
	slices.SortFunc(r.observations, func(a, b *entry) int {
		return cmp.Or(
			cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.ID, b.ID),
			bytes.Compare(a.Facts, b.Facts), cmp.Compare(a.Error, b.Error), cmp.Compare(a.NotAsked, b.NotAsked),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.broken, b.broken), bytes.Compare(a.With, b.With),
			cmp.Compare(a.Unit, b.Unit),
		)
	})
	last, answered := map[string]int{}, map[string]int{} // by unit
	for _, o := range r.observations {
		if o.Attempt > last[o.Unit]+1 && r.gap == "" {
			r.gap = fmt.Sprintf("attempt %d of %s is on record without attempt %d", o.Attempt, step, last[o.Unit]+1)
		}
		last[o.Unit] = max(last[o.Unit], o.Attempt)
		if o.broken == "" && len(o.Facts) > 0 {
			answered[o.Unit] = max(answered[o.Unit], o.Attempt)
		}
	}
	for _, unit := range wanted {
		if last[unit] == 0 && r.gap == "" {
			r.gap = fmt.Sprintf("nothing about %s is on record for %s", step, clip(unit))
		}
	}
	for _, o := range r.observations {
		o.superseded = o.broken == "" && len(o.Facts) == 0 && o.Attempt < answered[o.Unit]
	}
}

// answers lists the observations that have facts.
func (r *stepRecord) answers() []*entry {
	if r == nil {
		return nil
	}
	var out []*entry
	for _, o := range r.observations {
		if o.broken == "" && len(o.Facts) > 0 {
			out = append(out, o)
		}
	}
	return out
}

// unsettled says why the record neither holds an answer nor a reason of the planner's for
// having none. A run that was cut short is no such reason.
func (r *stepRecord) unsettled(step string) string {
	if r == nil {
		return "nothing about " + step + " is on record"
	}
	if r.gap != "" {
		return r.gap
	}
	for _, o := range r.observations {
		planned := strings.HasPrefix(o.NotAsked, profiles.NotAskedNeeds) || strings.HasPrefix(o.NotAsked, profiles.NotAskedDenied)
		switch {
		case o.broken != "":
			return o.broken
		case o.superseded || planned:
		case o.Error != "":
			return "the bench failed: " + clip(o.Error)
		case o.NotAsked != "":
			return "not asked: " + clip(o.NotAsked)
		}
	}
	return ""
}
