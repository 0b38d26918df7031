package profiles

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// choose loads the standards that a layer selects and notes what it takes of them.
func (ld *loader) choose(in *layer) error {
	for i, sel := range in.profile.Standards {
		key := at("standards", i)
		std, err := ld.standard(sel.Standard)
		if errors.Is(err, fs.ErrNotExist) {
			in.doc.Complain(key+".standard", "there is no standard %q%s", sel.Standard, strict.Suggest(sel.Standard, ld.standardIDs()))
			continue
		}
		if err != nil {
			return err
		}
		if std.standard.Reference {
			in.doc.Complain(key+".standard", "%s is a list of ids to refer to: too little is known of it to run it, so leave it out", sel.Standard)
			continue
		}
		ld.take(in.doc, key, sel, ld.chosenOf(std))
	}
	return nil
}

// chosenOf is the choice of a standard, a new one the first time.
func (ld *loader) chosenOf(std *shelved) *choice {
	for _, c := range ld.chosen {
		if c.standard.ID == std.standard.ID {
			return c
		}
	}
	c := &choice{shelved: std, wanted: map[string]bool{}, named: map[string]bool{}}
	ld.chosen = append(ld.chosen, c)
	return c
}

// take notes what one selection wants of its standard.
func (ld *loader) take(doc *strict.Doc, key string, sel Selection, c *choice) {
	std := c.standard
	if len(sel.Requirements) == 0 && len(sel.Parts) == 0 {
		c.whole = true
	}
	parts := make([]string, len(std.Parts))
	for j, p := range std.Parts {
		parts[j] = p.ID
	}
	known := c.ids()
	for _, r := range std.Requirements {
		if slices.ContainsFunc(r.Parts, func(p string) bool { return slices.Contains(sel.Parts, p) }) {
			c.wanted[r.ID] = true
		}
	}
	for j, p := range sel.Parts {
		if !slices.Contains(parts, p) {
			doc.Complain(at(key+".parts", j), "%s has no part %q%s", std.ID, p, strict.Suggest(p, parts))
		}
	}
	seen := map[string]bool{}
	for j, r := range sel.Requirements {
		where := at(key+".requirements", j)
		switch {
		case !slices.Contains(known, r):
			doc.Complain(where, "%s has no requirement %q%s", std.ID, r, strict.Suggest(r, known))
		case seen[r]:
			doc.Complain(where, "%q stands here twice: keep one", r)
		}
		seen[r], c.wanted[r], c.named[r] = true, true, true
	}
}

// exclude notes the requirements and checks that a layer leaves out by name.
func (ld *loader) exclude(in *layer) error {
	var selected, checks []string
	for _, c := range ld.chosen {
		for _, r := range c.standard.Requirements {
			if c.whole || c.wanted[r.ID] {
				selected = append(selected, c.standard.ID+"/"+r.ID)
				checks = append(checks, r.Checks()...)
			}
		}
	}
	for i, x := range in.profile.Without {
		key, what, known, hint := at("without", i)+".requirement", x.Requirement, selected, ": write standard/id"
		if x.Check != "" {
			key, what, known, hint = at("without", i)+".check", x.Check, checks, ""
		}
		_, twice := ld.omitted[what]
		switch {
		case (x.Requirement == "") == (x.Check == ""):
			in.doc.Complain(at("without", i), "names a requirement or a check to leave out: exactly one of them")
			continue
		case !slices.Contains(known, what):
			in.doc.Complain(key, "the profile selects no %s %q%s%s", key[strings.LastIndex(key, ".")+1:], what, hint, strict.Suggest(what, known))
		case twice:
			in.doc.Complain(key, "%q is left out twice: keep one", what)
		}
		filled(in.doc, at("without", i), "because", x.Because)
		ld.omitted[what] = x
		ld.set.Omitted.Exclusions = append(ld.set.Omitted.Exclusions, x)
	}
	return nil
}

// narrow takes the classes of evidence from the topmost layer that names any.
func (ld *loader) narrow(layers []*layer) {
	p := &ld.set.Profile
	for _, in := range slices.Backward(layers) {
		if p.Evidence == nil {
			p.Evidence = in.profile.Evidence
		}
		if p.Reviews == "" {
			p.Reviews = in.profile.Reviews
		}
		if p.Because == "" {
			p.Because = in.profile.Because
		}
	}
	ld.set.Omitted.Because = p.Because
}

// require makes the required set of what was chosen, and gathers the checks that it needs.
func (ld *loader) require(doc *strict.Doc) error {
	for _, c := range ld.chosen {
		std := *c.standard
		std.Requirements = nil
		ld.set.Omitted.Total += len(c.standard.Requirements)
		for _, r := range c.standard.Requirements {
			address := std.ID + "/" + r.ID
			if _, out := ld.omitted[address]; out || !(c.whole || c.wanted[r.ID]) {
				continue
			}
			kept, any := ld.units(r)
			if !any {
				ld.set.Omitted.Requirements = append(ld.set.Omitted.Requirements, address)
				if c.named[r.ID] {
					doc.Complain("standards", "names %s, but none of its questions is of the evidence that the profile takes: take more, or do not name it", address)
				}
				continue
			}
			std.Requirements = append(std.Requirements, kept)
			ld.set.Omitted.Taken++
			for _, id := range kept.Checks() {
				f, err := ld.family(family(id))
				if err != nil {
					return err
				}
				ld.set.checks[id] = f.checks[id]
			}
		}
		ld.set.files[c.file] = c.bytes
		for _, name := range c.families() {
			ld.families[name] = true // the standard's file names them: whoever reads it again needs them
		}
		if len(std.Requirements) == 0 {
			continue
		}
		ld.set.Standards = append(ld.set.Standards, &std)
		for _, r := range std.Requirements {
			ld.set.required = append(ld.set.required, Required{Standard: &std, Requirement: r, When: c.conditions[r.ID]})
		}
	}
	return nil
}

// families lists the families of every check that a standard names.
func (s *shelved) families() []string {
	seen := map[string]bool{}
	for _, r := range s.standard.Requirements {
		for _, id := range r.Checks() {
			seen[family(id)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// units returns a requirement with those of its units that the profile takes; not any, where none
// is left. A requirement without units stays, and stays open.
func (ld *loader) units(r Requirement) (kept Requirement, any bool) {
	p, o := ld.set.Profile, &ld.set.Omitted
	all := len(p.Evidence) == 0 && p.Reviews != NoReviews
	takes := func(c Class) bool { return len(p.Evidence) == 0 || slices.Contains(p.Evidence, c) }
	kept = r
	kept.Cases = nil
	for _, c := range r.Cases {
		var units []Unit
		for _, u := range c.Units {
			o.Of++
			less := u
			less.Checks = slices.DeleteFunc(slices.Clone(u.Checks), func(id string) bool {
				_, out := ld.omitted[id]
				return out || !takes(ld.classOf(id))
			})
			if !all {
				if p.Reviews == NoReviews || !takes(u.Review) {
					less.Review = ""
				}
			}
			switch lost := len(less.Checks) < len(u.Checks) || less.Review != u.Review; {
			case (lost || !all) && len(less.Checks) == 0 && less.Review == "":
				o.Units++
				continue
			case lost:
				o.Narrowed++
			}
			units = append(units, less)
		}
		if len(units) > 0 {
			c.Units = units
			if p.Reviews == NoReviews {
				c.Tree, c.Verdicts = nil, ""
			}
			kept.Cases = append(kept.Cases, c)
		}
	}
	return kept, len(kept.Cases) > 0 || len(r.Cases) == 0
}

// classOf is what a check's answer rests on; the loader of standards knows that there is such a check.
func (ld *loader) classOf(id string) Class {
	f, err := ld.family(family(id))
	if err != nil || f.checks[id] == nil {
		return ""
	}
	return f.checks[id].Evidence
}

// overrides applies the profiles' parameters to their checks; a later layer's replace an earlier one's.
func (ld *loader) overrides(layers []*layer) {
	base := maps.Clone(ld.set.checks)
	top := layers[len(layers)-1]
	for _, in := range layers {
		done := map[string]bool{}
		for i, o := range in.profile.With {
			key := at("with", i)
			c, ok := base[o.Check]
			switch {
			case !ok && in != top && ld.offers(o.Check):
				continue // what extends the profile takes less of the standard than it does
			case !ok:
				in.doc.Complain(key+".check", "the profile selects no check %q%s", o.Check, strict.Suggest(o.Check, slices.Sorted(maps.Keys(base))))
				continue
			case c.Probe == "":
				in.doc.Complain(key+".check", "%q asks no probe but the dossier alone: it has no parameters to change", o.Check)
				continue
			case done[o.Check]:
				in.doc.Complain(key+".check", "%q is overridden twice: join the two", o.Check)
			case o.Because == "":
				in.doc.Complain(key, "has no because: say why this lab deviates from the check")
			case len(o.With) == 0:
				in.doc.Complain(key, "has no with: name the parameters to change or remove the override")
			}
			done[o.Check] = true
			changed := *c
			changed.With = maps.Clone(c.With)
			if changed.With == nil {
				changed.With = map[string]any{}
			}
			maps.Copy(changed.With, o.With)
			ld.step(in.doc, key+".with", &changed)
			ld.set.checks[o.Check] = &changed
		}
	}
}

// offers tells whether one of the chosen standards names a check, taken or not.
func (ld *loader) offers(id string) bool {
	return slices.ContainsFunc(ld.chosen, func(c *choice) bool {
		return slices.ContainsFunc(c.standard.Requirements, func(r Requirement) bool { return slices.Contains(r.Checks(), id) })
	})
}

// mandatory refuses a profile over which conformity would say nothing.
func (ld *loader) mandatory(doc *strict.Doc) {
	for _, r := range ld.set.required {
		if r.Level == Mandatory {
			return
		}
	}
	doc.Complain("standards", "selects no mandatory requirement: conformity would be a statement over nothing")
}
