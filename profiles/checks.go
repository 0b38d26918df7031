package profiles

import (
	"errors"
	"maps"
	"slices"

	"assay/profiles/expr"
	"assay/profiles/strict"
)

type checkFile struct {
	Assay  string  `yaml:"assay"` // "checks/v1"
	Checks []Check `yaml:"checks"`
}

// family loads one file of checks and compiles all of them.
func (l *loader) family(name string) (map[string]*CompiledCheck, error) {
	if checks, ok := l.families[name]; ok {
		return checks, nil
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
	l.families[name] = checks
	l.set.files[file] = b
	return checks, nil
}

// check checks and compiles one check.
func (l *loader) check(doc *strict.Doc, key string, c Check) *CompiledCheck {
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
	if !ok {
		doc.Complain(key+".probe", "there is no probe %q%s", c.Probe, strict.Suggest(c.Probe, slices.Collect(maps.Keys(l.schemas))))
		return out
	}
	env, err := l.env(schema)
	if err != nil {
		doc.Complain(key+".probe", "%v", err)
		return out
	}
	out.given = l.compile(doc, env, key+".given", c.Given)
	out.expect = l.compile(doc, env, key+".expect", c.Expect)
	out.contradicts = l.compile(doc, env, key+".contradicts", c.Contradicts)
	if c.Names != "" {
		if out.about, err = env.Names(c.Names); err != nil {
			doc.Complain(key+".names", "%v", err)
		}
	}
	out.asks, out.needs = names(out.given, out.expect, out.about), names(out.given, out.expect, out.contradicts, out.about)
	l.step(doc, key+".with", out)
	return out
}

// compile compiles a condition; the same one only once, for families repeat themselves.
func (l *loader) compile(doc *strict.Doc, env *expr.Env, key, src string) *expr.Program {
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
func (l *loader) step(doc *strict.Doc, key string, c *CompiledCheck) {
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
