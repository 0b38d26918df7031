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
	m := &maker{d: d, set: set, has: has, missing: missing, wanted: map[string]bool{}, spared: map[string][]string{}, doubted: map[string]bool{}}
	m.settle()
	byStep := map[string][]*profiles.CompiledCheck{}
	for _, c := range set.Checks() {
		if c.Step == "" {
			continue // of the dossier alone: nobody is asked
		}
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
	wanted  map[string]bool     // checks that a requirement which is asked names
	spared  map[string][]string // checks that only requirements name which are not asked: why
	doubted map[string]bool     // features that are denied with a reason: a look at them is worth something
}

// settle finds out which requirements are asked: only a denial with a reason spares a question.
func (m *maker) settle() {
	for _, f := range m.set.Features {
		if m.d.Spared(f.Name) {
			m.doubted[f.Name] = true
		}
	}
	for _, r := range m.set.Required() {
		because, spared := m.d.Spares(r)
		if claim, ok := m.d.Claims(r); ok && spared && claim.Support == dossier.NotApplicable {
			for _, f := range r.When.Features() {
				m.doubted[f] = true
			}
		}
		for _, id := range r.Checks() {
			if spared {
				m.spared[id] = append(m.spared[id], strings.TrimPrefix(because, dossier.Denies))
			} else {
				m.wanted[id] = true
			}
		}
	}
}

func (m *maker) step(kind probes.Kind, checks []*profiles.CompiledCheck) (Step, error) {
	first := checks[0]
	s := Step{ID: first.Step, Probe: kind.Name, Version: kind.Version, With: first.Params, Touch: kind.Touch, Typical: kind.Typical}
	var denied []string
	applies := false
	for _, c := range checks {
		s.Checks = append(s.Checks, c.ID)
		if m.wanted[c.ID] && c.When.Holds(m.d.Spared) {
			applies = true
		}
		denied = append(denied, m.denied(c)...)
	}
	slices.Sort(denied)
	unmet, err := m.unmet(kind, first)
	switch {
	case err != nil:
		return s, err
	case !applies && (len(unmet) > 0 || !m.looks(checks)):
		// Where the question could be put all the same, and can show that the denied feature is
		// there, it is put: a declaration is worth what a look at the product leaves of it.
		s.NotAsked = profiles.NotAskedDenied + strings.Join(slices.Compact(denied), "; ")
		s.Inapplicable = true
	case len(unmet) > 0:
		s.NotAsked = profiles.NotAskedNeeds + strings.Join(unmet, "; ")
	}
	return s, nil
}

// denied says why a check is not asked: what its own condition lacks, or else its requirements'.
func (m *maker) denied(c *profiles.CompiledCheck) []string {
	if c.When.Holds(m.d.Spared) {
		return m.spared[c.ID]
	}
	var out []string
	for _, f := range c.When.Features() {
		if m.d.Spared(f) {
			why, _ := m.d.Lacks(f)
			out = append(out, f+" ("+strings.TrimSpace(why)+")")
		}
	}
	return out
}

// looks tells whether one of the checks can show that a denied feature is there after all.
func (m *maker) looks(checks []*profiles.CompiledCheck) bool {
	return slices.ContainsFunc(checks, func(c *profiles.CompiledCheck) bool {
		return slices.ContainsFunc(c.Speaks(), func(f string) bool { return m.doubted[f] })
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
