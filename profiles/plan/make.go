package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
)

// Make plans a run: has lists the bench's instruments, missing says of others why this
// bench lacks them. Only a set that does not fit the probes at hand is an error.
func Make(d *dossier.Dossier, set *profiles.Set, kinds []probes.Kind, has []probes.Instrument, missing map[probes.Instrument]string) (*Plan, error) {
	p := &Plan{Profile: set.Profile.ID, Version: set.Profile.Version, Steps: []Step{}}
	if len(set.Required()) == 0 {
		return nil, fmt.Errorf("plan profile %s: it selects nothing", set.Profile.ID)
	}
	m := &maker{d: d, set: set, has: has, missing: missing, wanted: wanted(d, set)}
	byStep := map[string][]*profiles.CompiledCheck{}
	for _, c := range set.Checks() {
		byStep[c.Step] = append(byStep[c.Step], c)
	}
	for _, id := range slices.Sorted(maps.Keys(byStep)) {
		checks := byStep[id]
		at := slices.IndexFunc(kinds, func(k probes.Kind) bool { return k.Name == checks[0].Probe })
		if at < 0 {
			return nil, fmt.Errorf("plan step %s: there is no probe %q", id, checks[0].Probe)
		}
		step, err := m.step(kinds[at], checks)
		if err != nil {
			return nil, err
		}
		p.Steps = append(p.Steps, step)
	}
	slices.SortStableFunc(p.Steps, func(a, b Step) int {
		if x, y := slices.Index(probes.Touches, a.Touch), slices.Index(probes.Touches, b.Touch); x != y {
			return x - y
		}
		return strings.Compare(a.ID, b.ID)
	})
	for _, s := range p.Steps {
		if s.NotAsked == "" {
			p.Typical += s.Typical
		}
	}
	return p, nil
}

type maker struct {
	d       *dossier.Dossier
	set     *profiles.Set
	has     []probes.Instrument
	missing map[probes.Instrument]string
	wanted  map[string]bool // checks that a requirement which applies names
}

// wanted lists the checks of requirements that apply, or whose denial lacks a reason:
// only a justified denial spares a question.
func wanted(d *dossier.Dossier, set *profiles.Set) map[string]bool {
	out := map[string]bool{}
	for _, r := range set.Required() {
		if !r.When.Holds(d.Spared) {
			continue
		}
		for _, id := range r.Checks {
			out[id] = true
		}
	}
	return out
}

func (m *maker) step(kind probes.Kind, checks []*profiles.CompiledCheck) (Step, error) {
	first := checks[0]
	s := Step{ID: first.Step, Probe: kind.Name, Version: kind.Version, With: first.Params, Touch: kind.Touch, Typical: kind.Typical}
	denied := map[string]bool{}
	applies := false
	for _, c := range checks {
		s.Checks = append(s.Checks, c.ID)
		if m.wanted[c.ID] && c.When.Holds(m.d.Spared) {
			applies = true
		}
		for _, f := range m.conditions(c) {
			if m.d.Spared(f) {
				denied[f] = true
			}
		}
	}
	unmet, err := m.unmet(kind, first)
	switch {
	case err != nil:
		return s, err
	case !applies && (len(unmet) > 0 || !m.looks(checks)):
		// Where the question could be put all the same, and can show that the denied feature is
		// there, it is put: a declaration is worth what a look at the product leaves of it.
		s.NotAsked = profiles.NotAskedDenied + strings.Join(slices.Sorted(maps.Keys(denied)), ", ")
		s.Inapplicable = true
	case len(unmet) > 0:
		s.NotAsked = profiles.NotAskedNeeds + strings.Join(unmet, "; ")
	}
	return s, nil
}

// conditions lists the features that decide whether a check is asked.
func (m *maker) conditions(c *profiles.CompiledCheck) []string {
	out := slices.Clone(c.When.Features())
	for _, r := range m.set.Required() {
		if slices.Contains(r.Checks, c.ID) {
			out = append(out, r.When.Features()...)
		}
	}
	return out
}

// looks tells whether one of the checks can show that a denied feature is there after all.
func (m *maker) looks(checks []*profiles.CompiledCheck) bool {
	return slices.ContainsFunc(checks, func(c *profiles.CompiledCheck) bool {
		return c.Feature != "" && m.d.Spared(c.Feature)
	})
}

// unmet lists what a step needs and does not have, each with what to do.
func (m *maker) unmet(kind probes.Kind, c *profiles.CompiledCheck) ([]string, error) {
	parameters := c.Words()
	var out []string
	for _, need := range kind.Needs {
		why, err := m.instrument(need.Instrument, parameters)
		if err != nil {
			return nil, fmt.Errorf("plan step %s: probe %s: %w", c.Step, kind.Name, err)
		}
		if why != "" {
			out = append(out, why)
		}
		if need.Operation == "" {
			continue
		}
		op, err := fill(need.Operation, parameters)
		if err != nil {
			return nil, fmt.Errorf("plan step %s: probe %s: %w", c.Step, kind.Name, err)
		}
		if _, ok := m.d.Operations[op]; !ok {
			out = append(out, fmt.Sprintf("operation %s: the dossier does not tell how to do it", op))
		}
	}
	return out, nil
}

// instrument tells why a bench lacks one; empty where it does not. Of what is named below an instrument
// (interceptor/mqtts) nothing is said where the instrument itself is missing.
func (m *maker) instrument(need probes.Instrument, parameters map[string]string) (string, error) {
	name, err := fill(string(need), parameters)
	if err != nil || name == "" || slices.Contains(m.has, probes.Instrument(name)) {
		return "", err
	}
	if at := strings.LastIndex(name, "/"); at > 0 && !slices.Contains(m.has, probes.Instrument(name[:at])) {
		return "", nil
	}
	why := m.missing[probes.Instrument(name)]
	if why == "" {
		why = "this bench has none"
	}
	return fmt.Sprintf("instrument %s: %s", name, why), nil
}

// fill puts parameters in the place of {name}.
func fill(operation string, parameters map[string]string) (string, error) {
	for {
		before, rest, ok := strings.Cut(operation, "{")
		if !ok {
			return operation, nil
		}
		name, after, closed := strings.Cut(rest, "}")
		value, known := parameters[name]
		if !closed || !known {
			return "", fmt.Errorf("need %q: there is no parameter %q", operation, name)
		}
		// A value with a brace in it would be filled again; no parameter that names an operation has one.
		operation = before + strings.NewReplacer("{", "", "}", "").Replace(value) + after
	}
}
