package profiles

import (
	"errors"
	"maps"
	"slices"

	"assay/profiles/expr"
	"assay/profiles/strict"
)

// A Check names a probe, its parameters, and what a good device does. Its CEL, but for applies,
// compares facts, what was seen, with dossier, what was declared (see Declared). A check without a
// probe asks the dossier alone.
type Check struct {
	ID          string         `yaml:"id" json:"id"`
	Probe       string         `yaml:"probe,omitempty" json:"probe,omitempty"`
	With        map[string]any `yaml:"with,omitempty" json:"with,omitempty"`
	Evidence    Class          `yaml:"evidence,omitempty" json:"evidence"`         // observation, unless it says otherwise; document without a probe
	Applies     string         `yaml:"applies,omitempty" json:"applies,omitempty"` // CEL over features
	Given       string         `yaml:"given" json:"given"`                         // CEL: was it a fair test?
	Unfair      string         `yaml:"unfair,omitempty" json:"unfair,omitempty"`   // what to say and do when given is unmet
	Expect      string         `yaml:"expect" json:"expect"`                       // CEL: what a good device does
	Otherwise   string         `yaml:"otherwise" json:"otherwise"`
	Names       string         `yaml:"names,omitempty" json:"names,omitempty"` // CEL: what a failure is about, a list of text
	Remedy      string         `yaml:"remedy" json:"remedy"`
	Row         string         `yaml:"row,omitempty" json:"row,omitempty"`                 // IXIT table it compares, e.g. 7-UpdMech
	Contradicts string         `yaml:"contradicts,omitempty" json:"contradicts,omitempty"` // CEL: the observation shows that a denied feature exists
	Feature     string         `yaml:"feature,omitempty" json:"feature,omitempty"`         // the feature that Contradicts speaks of
	// Further features that the observation may show, by name, each with its CEL. A failure of the check is no word on them.
	Reveals map[string]string `yaml:"reveals,omitempty" json:"reveals,omitempty"`
}

type checkFile struct {
	Assay  string  `yaml:"assay"` // "checks/v1"
	Checks []Check `yaml:"checks"`
}

// A checkFamily is one file of checks, compiled.
type checkFamily struct {
	checks map[string]*CompiledCheck
	file   string
	bytes  []byte
}

// family loads one file of checks and compiles all of them.
func (l *library) family(name string) (*checkFamily, error) {
	if f, ok := l.families[name]; ok {
		return f, nil
	}
	file := "checks/" + name + ".yaml"
	b, err := readFile(l.fsys, file)
	if err != nil {
		return nil, err
	}
	doc, err := strict.Parse(file, b)
	if err != nil {
		return nil, err
	}
	var f checkFile
	if err := doc.Decode(&f); err != nil {
		return nil, err
	}
	line(doc, f.Assay, "checks/v1")
	if len(f.Checks) == 0 {
		doc.Complain("checks", "is empty")
	}
	checks := map[string]*CompiledCheck{}
	for i, c := range f.Checks {
		key := at("checks", i)
		switch {
		case !checkID.MatchString(c.ID):
			doc.Complain(key+".id", "%q is not the id of a check: write family/name", c.ID)
		case family(c.ID) != name:
			doc.Complain(key+".id", "%q belongs into checks/%s.yaml", c.ID, family(c.ID))
		case checks[c.ID] != nil:
			doc.Complain(key+".id", "there is another check %q", c.ID)
		}
		checks[c.ID] = l.check(doc, key, c)
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	l.families[name] = &checkFamily{checks, file, b}
	return l.families[name], nil
}

// check checks and compiles one check.
func (l *library) check(doc *strict.Doc, key string, c Check) *CompiledCheck {
	out := &CompiledCheck{Check: c}
	filled(doc, key, "given", c.Given, "expect", c.Expect, "otherwise", c.Otherwise, "remedy", c.Remedy)
	if c.Row != "" && !tableName.MatchString(c.Row) {
		doc.Complain(key+".row", "%q is not an IXIT table: write e.g. 7-UpdMech", c.Row)
	}
	switch {
	case (c.Contradicts == "") != (c.Feature == ""):
		doc.Complain(key, "has one of contradicts and feature: they only make sense together")
	case c.Feature != "" && !slices.Contains(l.names, c.Feature):
		doc.Complain(key+".feature", "there is no feature %q%s", c.Feature, strict.Suggest(c.Feature, l.names))
	}
	out.When = l.condition(doc, key+".applies", c.Applies)
	schema, ok := l.schemas[c.Probe]
	l.class(doc, key, out)
	if c.Probe == "" {
		ok = true // of the dossier alone: without facts
	}
	if !ok {
		doc.Complain(key+".probe", "there is no probe %q%s", c.Probe, strict.Suggest(c.Probe, slices.Sorted(maps.Keys(l.schemas))))
		return out
	}
	env, err := l.env(schema)
	if err != nil {
		doc.Complain(key+".probe", "%v", err)
		return out
	}
	out.given = l.compile(doc, env, key+".given", c.Given)
	out.expect = l.compile(doc, env, key+".expect", c.Expect)
	l.shows(doc, env, key, out)
	if c.Names != "" {
		if out.about, err = env.Names(c.Names); err != nil {
			doc.Complain(key+".names", "%v", err)
		}
	}
	out.asks, out.needs = names(out.given, out.expect, out.about), names(append(slices.Collect(maps.Values(out.shows)), out.given, out.expect, out.about)...)
	if c.Probe != "" {
		l.step(doc, key+".with", out)
	}
	return out
}

// shows compiles what shows a feature.
func (l *library) shows(doc *strict.Doc, env *expr.Env, key string, c *CompiledCheck) {
	c.shows = map[string]*expr.Program{}
	if c.Feature != "" {
		c.shows[c.Feature] = l.compile(doc, env, key+".contradicts", c.Contradicts)
	}
	for _, f := range slices.Sorted(maps.Keys(c.Reveals)) {
		at := key + ".reveals." + f
		switch {
		case !slices.Contains(l.names, f):
			doc.Complain(at, "there is no feature %q%s", f, strict.Suggest(f, l.names))
		case f == c.Feature:
			doc.Complain(at, "contradicts speaks of this feature already: keep one")
		case c.Reveals[f] == "":
			doc.Complain(at, "is empty: write what shows the feature")
		default:
			c.shows[f] = l.compile(doc, env, at, c.Reveals[f])
		}
	}
}

// class completes and checks what a check's answer rests on.
func (l *library) class(doc *strict.Doc, key string, c *CompiledCheck) {
	switch {
	case c.Evidence == "" && c.Probe == "":
		c.Evidence = Document
	case c.Evidence == "":
		c.Evidence = Observation
	case !slices.Contains(Classes, c.Evidence):
		doc.Complain(key+".evidence", "is %q, wants observation, attestation or document", c.Evidence)
	case c.Probe == "" && c.Evidence != Document:
		doc.Complain(key+".evidence", "is %q, but a check without a probe reads the dossier alone: write document or name a probe", c.Evidence)
	}
	switch {
	case c.Probe != "":
	case len(c.With) > 0:
		doc.Complain(key+".with", "gives parameters to no probe: name one or remove them")
	case c.Contradicts != "":
		doc.Complain(key+".contradicts", "cannot be asked of the dossier alone: name a probe")
	case len(c.Reveals) > 0:
		doc.Complain(key+".reveals", "cannot be asked of the dossier alone: name a probe")
	}
}

// compile compiles a condition; the same one only once, for families repeat themselves.
func (l *library) compile(doc *strict.Doc, env *expr.Env, key, src string) *expr.Program {
	if src == "" { // complained about where it is required
		return nil
	}
	if p, ok := l.programs[source{env, src}]; ok {
		return p
	}
	p, err := env.Compile(src)
	if err != nil {
		doc.Complain(key, "%v", err)
		return nil
	}
	l.programs[source{env, src}] = p
	return p
}

// source is one expression over the facts of one probe.
type source struct {
	env *expr.Env
	src string
}

// step completes a check's parameters and names the step that asks for it.
func (l *library) step(doc *strict.Doc, key string, c *CompiledCheck) {
	schema := l.schemas[c.Probe]
	full, err := schema.complete(c.With)
	if err == nil {
		c.Params, c.Step, err = schema.Fill(c.With)
	}
	var wrong *ParameterError
	switch {
	case errors.As(err, &wrong):
		doc.Complain(key+"."+wrong.Name, "%s", wrong.Problem)
	case err != nil:
		doc.Complain(key, "%v", err)
	default:
		c.words = words(full)
	}
}
