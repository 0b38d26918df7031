package diff

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assay/probes"
	"assay/profiles/plan"
	"assay/reports/verdict"
)

// A Delta tells what must be tested again before the older run says anything about the newer product. It presumes
// nothing of parts: a new firmware is a new device to every question that is put to one.
type Delta struct {
	Again   []Retest `json:"again"`
	Carried []Retest `json:"carried"`
	// Requirements rest on a step that must be tested again, or on a review of a document that changed.
	Requirements []string `json:"requirements_again"`
	Kept         []string `json:"requirements_carried"`
}

// A Retest is one step of the newer plan and why it must be asked again, or need not.
type Retest struct {
	Step   string   `json:"step"`
	Checks []string `json:"checks"`
	Why    []string `json:"why"`
}

// An assessment holds what every step is measured by.
type assessment struct {
	old, now Side
	kinds    []probes.Kind
	changed  []Difference // in the dossier
	device   []string     // why the device is another one to everybody who asks it
	before   map[string]probes.Observation
}

func delta(old, now Side, kinds []probes.Kind, changed []Difference) Delta {
	a := &assessment{old: old, now: now, kinds: kinds, changed: changed, before: answers(old.In)}
	a.device = a.anotherDevice()
	out := Delta{Again: []Retest{}, Carried: []Retest{}, Requirements: []string{}, Kept: []string{}}
	again := map[string]bool{}
	for _, s := range now.In.Plan.Steps {
		if s.NotAsked != "" {
			continue // nobody asks it of the newer product either
		}
		why := a.why(s)
		r := Retest{s.ID, s.Checks, why}
		if len(why) > 0 {
			again[s.ID] = true
			out.Again = append(out.Again, r)
			continue
		}
		o := a.before[s.ID]
		r.Why = []string{fmt.Sprintf("%s answered it; firmware, images, bench, what the dossier says of its operations, features and rows, probe version %s and parameters are the same", o.ID, o.Version)}
		out.Carried = append(out.Carried, r)
	}
	for _, r := range now.Result.Requirements {
		if r.Verdict == verdict.NotApplicable {
			continue
		}
		id := r.Standard + "/" + r.ID
		if slices.ContainsFunc(r.Checks, func(c verdict.Check) bool { return again[c.Step] }) || a.reviewsAgain(r) {
			out.Requirements = append(out.Requirements, id)
		} else {
			out.Kept = append(out.Kept, id)
		}
	}
	return out
}

// anotherDevice says what makes every answer of a device one of another device.
func (a *assessment) anotherDevice() []string {
	var why []string
	for _, d := range a.changed {
		switch d.At {
		case "product.manufacturer", "product.model", "product.hardware", "product.operating_system", "product.firmware":
			why = append(why, fmt.Sprintf("%s was %v, and is %v", strings.TrimPrefix(d.At, "product."), said(d.Old), said(d.New)))
		}
	}
	was, is := installed(a.old), installed(a.now)
	if was != is && len(why) == 0 {
		why = append(why, fmt.Sprintf("the image of firmware %s was %.12s, and is %.12s", a.now.In.Begin.Product.Firmware, said(was), said(is)))
	}
	if x, y := mode(a.old.In), mode(a.now.In); x != y {
		why = append(why, fmt.Sprintf("the bench was %s, and is %s", said(x), said(y)))
	}
	return why
}

// installed is the digest of the image that the product came with, where the dossier tells it.
func installed(s Side) string {
	for _, i := range s.In.Dossier.Images {
		if i.Version == s.In.Dossier.Product.Firmware {
			return i.SHA256
		}
	}
	return ""
}

func said(v any) string {
	if v == nil || v == "" {
		return "not told"
	}
	return fmt.Sprint(v)
}

// why lists the reasons to ask a step again.
func (a *assessment) why(s plan.Step) []string {
	o, asked := a.before[s.ID]
	at := slices.IndexFunc(a.kinds, func(k probes.Kind) bool { return k.Name == s.Probe })
	switch {
	case !asked && slices.ContainsFunc(a.old.In.Plan.Steps, func(p plan.Step) bool { return p.Probe == s.Probe && !stillPlanned(a.now, p) }):
		return []string{"its parameters are others than in the older run"}
	case !asked:
		return []string{"the older run did not ask it"}
	case len(o.Facts) == 0:
		return []string{"the older run has no answer: " + strings.TrimSpace(o.Error+o.NotAsked)}
	case at < 0:
		return []string{"this assay does not know what probe " + s.Probe + " rests on"}
	}
	var why []string
	if o.Version != s.Version {
		why = append(why, fmt.Sprintf("probe %s was version %s, and is %s", s.Probe, o.Version, s.Version))
	}
	if !readsOnly(a.kinds[at]) {
		why = append(why, a.device...)
		why = append(why, a.operations(a.kinds[at], s)...)
		why = append(why, a.specimen(a.kinds[at])...)
	}
	why = append(why, a.means(a.kinds[at])...)
	why = append(why, a.features(s)...)
	why = append(why, a.rows(s)...)
	slices.Sort(why)
	return slices.Compact(why)
}

func stillPlanned(s Side, p plan.Step) bool {
	return slices.ContainsFunc(s.In.Plan.Steps, func(x plan.Step) bool { return x.ID == p.ID })
}

// readsOnly tells that a probe never meets the device: it reads what the maker handed over.
func readsOnly(k probes.Kind) bool {
	return len(k.Needs) > 0 && !slices.ContainsFunc(k.Needs, func(n probes.Need) bool {
		return n.Operation != "" || n.Instrument != probes.InstrumentImages && n.Instrument != probes.InstrumentClock
	})
}

// operations says which changed operations a step uses, or cannot be shown not to use.
func (a *assessment) operations(k probes.Kind, s plan.Step) []string {
	var parameters map[string]any
	_ = json.Unmarshal(s.With, &parameters)
	var why []string
	for _, name := range a.named("operations") {
		uses, sister := false, false
		for _, n := range k.Needs {
			family, rest, open := strings.Cut(n.Operation, "{")
			parameter, _, _ := strings.Cut(rest, "}")
			switch {
			case n.Operation == "":
			case !open:
				uses = uses || n.Operation == name
			case strings.HasPrefix(name, family):
				value, _ := parameters[parameter].(string)
				uses = uses || name == family+value
				sister = sister || name != family+value
			}
		}
		switch {
		case uses:
			why = append(why, "operation "+name+" is described otherwise")
		case !sister:
			why = append(why, "operation "+name+" is described otherwise, and nothing says that this step does not use it")
		}
	}
	return why
}

// means says what the bench serves or brings to the device that changed.
func (a *assessment) means(k probes.Kind) []string {
	needs := func(list ...probes.Instrument) bool {
		return slices.ContainsFunc(k.Needs, func(n probes.Need) bool { return slices.Contains(list, n.Instrument) })
	}
	var why []string
	for _, d := range a.changed {
		switch {
		case d.within("images") && needs(probes.InstrumentImages, probes.InstrumentUpdates):
			why = append(why, "the maker's images are others")
		case (d.within("advisories") || d.within("product")) && readsOnly(k):
			why = append(why, "what the maker's images are held against has changed")
		case d.within("trust") && needs(probes.InstrumentImages, probes.InstrumentUpdates):
			why = append(why, "the trust anchors are others")
		case d.within("cloud") && !readsOnly(k):
			why = append(why, "what the bench stands in for is another cloud")
		}
	}
	return why
}

// specimen says that what a label gives away belongs to one specimen alone.
func (a *assessment) specimen(k probes.Kind) []string {
	if a.old.In.Begin.Unit == a.now.In.Begin.Unit || !slices.ContainsFunc(k.Needs, func(n probes.Need) bool { return strings.HasPrefix(n.Operation, probes.LoginPrefix) }) {
		return nil
	}
	return []string{"another specimen has another label, and this step uses its logins"}
}

// features says which changed features decide whether a step's checks apply, or what they show.
func (a *assessment) features(s plan.Step) []string {
	var why []string
	changed := a.named("features")
	for _, id := range s.Checks {
		c, ok := a.now.In.Set.Check(id)
		if !ok {
			continue
		}
		for _, f := range append(c.When.Features(), c.Speaks()...) {
			if slices.Contains(changed, f) {
				why = append(why, "feature "+f+" is declared otherwise")
			}
		}
	}
	return why
}

// rows says which changed declaration rows a step's checks compare.
func (a *assessment) rows(s plan.Step) []string {
	var why []string
	for _, side := range []Side{a.old, a.now} {
		for _, r := range side.Result.Requirements {
			for _, c := range r.Checks {
				if c.Step != s.ID {
					continue
				}
				for _, row := range c.Rows {
					// A check may compare one row, or a whole table.
					table, id, one := strings.Cut(row, "/")
					at := "ixit." + table
					if slices.ContainsFunc(a.changed, func(d Difference) bool {
						return d.At == at || !one && d.within(at) || d.within(at+"["+id+"]")
					}) {
						why = append(why, "row "+row+" is declared otherwise")
					}
				}
			}
		}
	}
	return why
}

// named lists what changed right below a part of the dossier.
func (a *assessment) named(part string) []string {
	var out []string
	for _, d := range a.changed {
		if rest, ok := strings.CutPrefix(d.At, part+"."); ok {
			name, _, _ := strings.Cut(rest, ".")
			name, _, _ = strings.Cut(name, "[")
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// reviewsAgain tells whether a requirement wants a person, and what persons read is not what it was.
func (a *assessment) reviewsAgain(r verdict.Requirement) bool {
	for _, c := range r.Cases {
		for _, u := range c.Units {
			if u.Review == nil {
				continue
			}
			// A person judges the papers of one firmware; which page a changed one touches no program can tell.
			if len(a.device) > 0 || slices.ContainsFunc(a.changed, func(d Difference) bool {
				return d.within("documents") || d.within("ixit") || d.within("ics") || d.within("features")
			}) {
				return true
			}
		}
	}
	return false
}
