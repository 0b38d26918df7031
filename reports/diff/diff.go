// Package diff lays two runs beside each other: what changed in verdicts, observations, declaration and tools, and
// what of the newer product must be tested again. It is pure: it judges nothing, asks nobody, and calls a result
// carried over only where everything that it is known to rest on is the same.
package diff

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"assay/lab"
	"assay/probes"
	"assay/reports/verdict"
)

// A Side is one of the two runs, judged by its own profile.
type Side struct {
	In     *lab.Inputs
	Result *verdict.Result
	Frames uint64
}

// A Diff is everything that differs.
type Diff struct {
	Old          Name         `json:"old"`
	New          Name         `json:"new"`
	Worse        bool         `json:"worse"` // a requirement got worse
	Requirements []Change     `json:"requirements"`
	Checks       []Change     `json:"checks"`
	Observations []Observed   `json:"observations"`
	Dossier      []Difference `json:"dossier"`
	Setting      []Difference `json:"setting"` // tool, profile, standards, probes, bench
	Delta        Delta        `json:"delta"`
	Caveats      []string     `json:"caveats,omitempty"`
}

// A Name tells which run a side is.
type Name struct {
	Run        string             `json:"run"`
	Model      string             `json:"model"`
	Firmware   string             `json:"firmware"`
	Unit       string             `json:"unit"`
	Profile    string             `json:"profile"`
	Conformity verdict.Conformity `json:"conformity"`
	Frames     uint64             `json:"frames"`
}

// How a verdict changed.
type How string

// The ways. A verdict that becomes not-applicable, or was, is neither better nor worse: another declaration is behind it.
const (
	Better  How = "better"
	Worse   How = "worse"
	Changed How = "changed"
	Reason  How = "other reason" // the verdict is the same, but not a pass, and its reason is another
	New     How = "new"
	Gone    How = "gone"
)

// A Change is one requirement's or check's.
type Change struct {
	ID        string          `json:"id"`
	Title     string          `json:"title,omitempty"`
	How       How             `json:"how"`
	Old       verdict.Verdict `json:"old,omitempty"`
	New       verdict.Verdict `json:"new,omitempty"`
	OldReason string          `json:"old_reason,omitempty"`
	NewReason string          `json:"new_reason,omitempty"`
}

// An Observed is one step that was seen otherwise.
type Observed struct {
	Step string       `json:"step"`
	How  How          `json:"how"`
	Old  string       `json:"old,omitempty"` // the observation that answered last
	New  string       `json:"new,omitempty"`
	What []Difference `json:"what,omitempty"`
}

// A Difference is one value that is not the same. JSON null stands for what is not there.
type Difference struct {
	At  string `json:"at"`
	Old any    `json:"old"`
	New any    `json:"new"`
}

// vary are the facts that differ between any two runs of the same device: times, and counts that follow from them.
var vary = []string{
	"seconds", "took_seconds", "waited_seconds", "settled_seconds", "genuine_seconds", "tries_per_minute",
	"traffic_frames", "bytes_fetched", "retained_count",
}

// Make compares two runs. kinds are the probes of this program, which tell what a step needs.
func Make(old, now Side, kinds []probes.Kind) *Diff {
	d := &Diff{Old: name(old), New: name(now)}
	d.Requirements = changes(requirements(old.Result), requirements(now.Result))
	d.Checks = changes(checks(old.Result), checks(now.Result))
	d.Worse = slices.ContainsFunc(d.Requirements, func(c Change) bool { return c.How == Worse })
	d.Observations = observed(old.In, now.In)
	d.Dossier = Values(declared(old.In), declared(now.In))
	d.Setting = setting(old, now)
	d.Delta = delta(old, now, kinds, d.Dossier)
	if a, b := old.In.Begin.Unit, now.In.Begin.Unit; a != b {
		d.Caveats = append(d.Caveats, "another specimen was on the bench ("+cmp.Or(b.Serial, b.ID)+" after "+cmp.Or(a.Serial, a.ID)+
			"): carrying a result over presumes that both are of one make")
	}
	if v := now.In.Begin.Product.Firmware; v == old.In.Begin.Product.Firmware && (installed(old) == "" || installed(now) == "") {
		d.Caveats = append(d.Caveats, "no digest of an image tells that firmware "+v+" is the same build in both: it rests on the number alone")
	}
	for _, s := range []Side{old, now} {
		if s.In.End == nil {
			d.Caveats = append(d.Caveats, "run "+s.In.Begin.Run+" never came to its end")
		}
	}
	return d
}

func name(s Side) Name {
	b := s.In.Begin
	return Name{b.Run, b.Product.Manufacturer + " " + b.Product.Model, b.Product.Firmware, cmp.Or(b.Unit.Serial, b.Unit.ID),
		b.Profile + " version " + b.Edition, s.Result.Conformity, s.Frames}
}

// A judged is a requirement or a check.
type judged struct {
	title, reason string
	verdict       verdict.Verdict
}

func requirements(r *verdict.Result) map[string]judged {
	out := map[string]judged{}
	for _, x := range r.Requirements {
		out[x.Standard+"/"+x.ID] = judged{x.Title, x.Reason, x.Verdict}
	}
	return out
}

func checks(r *verdict.Result) map[string]judged {
	out := map[string]judged{}
	for _, x := range r.Requirements {
		for _, c := range x.Checks {
			// Where one requirement asks a check and another is spared it, the one that asks tells more.
			if had, ok := out[c.ID]; !ok || had.verdict == verdict.NotApplicable {
				out[c.ID] = judged{"", c.Reason, c.Verdict}
			}
		}
	}
	return out
}

// rank orders what can be compared.
var rank = map[verdict.Verdict]int{verdict.Fail: 1, verdict.Inconclusive: 2, verdict.Pass: 3}

func changes(old, now map[string]judged) []Change {
	out := []Change{}
	all := maps.Clone(old)
	maps.Copy(all, now)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		a, was := old[id]
		b, is := now[id]
		c := Change{id, cmp.Or(b.title, a.title), Changed, a.verdict, b.verdict, a.reason, b.reason}
		switch {
		case !was:
			c.How = New
		case !is:
			c.How = Gone
		case a.verdict == b.verdict:
			if a.verdict == verdict.Pass || a.reason == b.reason {
				continue
			}
			c.How = Reason
		case rank[b.verdict] == 0: // not applicable any more: the declaration says why
		case rank[a.verdict] == 0:
			if b.verdict != verdict.Pass {
				c.How = Worse
			}
		case rank[b.verdict] < rank[a.verdict]:
			c.How = Worse
		default:
			c.How = Better
		}
		out = append(out, c)
	}
	return out
}

// answers are the observations that count, by step: the last attempt. Of several units it is the first one's, or
// that of one which has no answer.
func answers(in *lab.Inputs) map[string]probes.Observation {
	out := map[string]probes.Observation{}
	all := ofUnits(in)
	for _, at := range slices.Sorted(maps.Keys(all)) {
		o := all[at]
		if had, ok := out[o.Step]; !ok || len(had.Facts) > 0 && len(o.Facts) == 0 {
			out[o.Step] = o
		}
	}
	return out
}

// ofUnits are the observations that count, by step, and by unit where there are several.
func ofUnits(in *lab.Inputs) map[string]probes.Observation {
	out := map[string]probes.Observation{}
	for _, o := range in.Observations {
		at := o.Step
		if len(in.Begin.Units) > 1 {
			at += " of " + o.Unit
		}
		if had, ok := out[at]; !ok || o.Attempt >= had.Attempt {
			out[at] = o
		}
	}
	return out
}

func observed(old, now *lab.Inputs) []Observed {
	out := []Observed{}
	before, after := ofUnits(old), ofUnits(now)
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, step := range slices.Sorted(maps.Keys(all)) {
		a, was := before[step]
		b, is := after[step]
		switch {
		case !was:
			out = append(out, Observed{Step: step, How: New, New: b.ID})
			continue
		case !is:
			out = append(out, Observed{Step: step, How: Gone, Old: a.ID})
			continue
		}
		what := Values(facts(a), facts(b))
		if len(what) > 0 {
			out = append(out, Observed{step, Changed, a.ID, b.ID, what})
		}
	}
	return out
}

// facts are what an observation says, without what varies by nature.
func facts(o probes.Observation) any {
	out := map[string]any{}
	if len(o.Facts) > 0 && json.Unmarshal(o.Facts, &out) != nil {
		return map[string]any{"facts": string(o.Facts)}
	}
	for _, f := range vary {
		delete(out, f)
	}
	if o.Error != "" {
		out["error"] = o.Error
	}
	if o.NotAsked != "" {
		out["not_asked"] = o.NotAsked
	}
	if o.Alive != nil {
		out["alive"] = *o.Alive
	}
	return out
}

func setting(old, now Side) []Difference {
	of := func(s Side) any {
		b := s.In.Begin
		out := map[string]any{
			"tool": b.Tool.Version, "tool sha256": b.Tool.SHA256, "profile": b.Profile, "profile version": b.Edition,
			"operator": b.Operator, "frames captured": float64(s.Frames),
		}
		for _, x := range s.Result.Standards {
			out["standard "+x.ID] = x.Edition
		}
		for _, o := range s.In.Observations {
			if o.NotAsked == "" {
				out["probe "+o.Probe] = "version " + o.Version
			}
		}
		for file, text := range s.In.Set.Files() {
			out["profile file "+file] = digest(text)
		}
		out["bench"] = mode(s.In)
		return out
	}
	return Values(of(old), of(now))
}

// mode is what kind of bench a run had.
func mode(in *lab.Inputs) string {
	var b struct {
		Mode string `json:"mode"`
	}
	_ = json.Unmarshal(in.Bench, &b)
	return b.Mode
}

// declared is a dossier as JSON, without its secrets.
func declared(in *lab.Inputs) any {
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(in.Dossier.Redacted()))
	if dec.Decode(&v) != nil {
		return nil
	}
	delete(v, "withheld")
	return v
}

// within tells whether a difference lies at or below a place.
func (d Difference) within(at string) bool {
	return d.At == at || strings.HasPrefix(d.At, at+".") || strings.HasPrefix(d.At, at+"[")
}
