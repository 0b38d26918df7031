package oscal

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"assay/lab"
	"assay/probes"
	"assay/reports"
	"assay/reports/verdict"
)

// observations are what a requirement's verdict rests on: each check, and each review that somebody gave.
func (x *writer) observations(p verdict.Result, q verdict.Requirement, unit, tool string) []observation {
	var out []observation
	for _, c := range q.Checks {
		out = append(out, x.check(p, c, unit, tool))
	}
	for _, k := range q.Cases {
		for _, u := range k.Units {
			if u.Review != nil && u.Review.Said != nil {
				out = append(out, x.review(p, q, k, u, unit))
			}
		}
	}
	return out
}

func (x *writer) check(p verdict.Result, c verdict.Check, unit, tool string) observation {
	o := observation{UUID: x.names.UUID("check", p.ID, c.ID, string(c.Verdict), c.Observation), Title: text(c.ID), Description: text(string(reports.Closed(c.Verdict)) + ": " + c.Reason),
		Props:   []prop{property("verdict", string(reports.Closed(c.Verdict))), property("step", c.Step), property("expect", c.Expect)},
		Methods: []string{method(c.Evidence)}, Types: []string{"control-objective"}, Origins: []origin{{[]actor{{"tool", tool}}}}, Subjects: []subject{{unit, "inventory-item"}},
		Evidence: x.capture(c.Observation), Collected: stamp(x.r.Started)}
	if seen := x.seen(c.Observation); seen != nil {
		o.Collected = stamp(seen.End)
		o.Props = append(o.Props, property("observation", seen.ID))
	}
	for _, row := range c.Rows {
		o.Evidence = append(o.Evidence, evidence{x.link(lab.FileDossier), text("declaration row " + row)})
	}
	if reports.Closed(c.Verdict) == verdict.Fail && c.Remedy != "" {
		o.Remarks = text("To mend: " + c.Remedy)
	}
	return o
}

// proving is a test of the bench with a known-good device. It is of no control: what it takes back is in the checks.
func (x *writer) proving(p verdict.Result, t reports.Proving, tool string) observation {
	o := observation{UUID: x.names.UUID("proving", p.ID, fmt.Sprint(t.Record)), Title: text("The bench's test with a known-good device, " + t.At()), Description: text(t.Word + ": " + t.Says),
		Props:   []prop{property("bench", t.Word), property("record", fmt.Sprint(t.Record))},
		Methods: []string{"TEST"}, Types: []string{"assessment-platform"}, Origins: []origin{{[]actor{{"tool", tool}}}}, Collected: stamp(t.Time)}
	if t.Proof.Frames != nil {
		o.Evidence = []evidence{{x.link(t.Proof.Frames.File), text(t.Frames)}}
	}
	if t.Takes != "" {
		o.Remarks = text(t.Takes)
	}
	if len(t.Voids) > 0 {
		o.Props = append(o.Props, property("voids", strings.Join(t.Voids, ", ")))
	}
	return o
}

func (x *writer) seen(id string) *probes.Observation {
	for i := range x.r.Observations {
		if x.r.Observations[i].ID == id {
			return &x.r.Observations[i]
		}
	}
	return nil
}

// review is a named person's answer.
func (x *writer) review(p verdict.Result, q verdict.Requirement, k verdict.Case, u verdict.Unit, unit string) observation {
	said := u.Review.Said
	o := observation{UUID: x.names.UUID("review", p.ID, reports.Address(q), k.ID, u.ID), Title: text("Review of " + k.ID + "." + u.ID + ": " + u.Asks), Description: text(said.Statement),
		Props:   []prop{property("verdict", string(reports.Closed(u.Review.Verdict))), property("answer", string(said.Answer)), property("reason", u.Review.Reason)},
		Methods: []string{method(u.Review.Wants)}, Types: []string{"control-objective"}, Origins: []origin{{[]actor{{"party", x.party("person", cmp.Or(said.By.Name, "unnamed"))}}}},
		Subjects: []subject{{unit, "inventory-item"}}, Collected: stamp(x.r.Started), Remarks: text(strings.TrimSpace(reports.By(u.Review)))}
	if date, last, err := said.Days(); err == nil {
		o.Collected, o.Expires = stamp(date), stamp(last.Add(24*time.Hour-time.Second))
	}
	for _, row := range said.Rows {
		o.Evidence = append(o.Evidence, evidence{x.link(lab.FileDossier), text("declaration row " + row)})
	}
	for _, e := range said.Evidence {
		name := lab.FileReviews
		if len(e.SHA256) >= 16 {
			name += e.SHA256[:16]
		}
		where := x.link(name)
		for _, a := range x.r.Artefacts {
			if a.SHA256 == e.SHA256 {
				where = x.link(a.Name)
			}
		}
		o.Evidence = append(o.Evidence, evidence{where, text(cmp.Or(e.Title, e.Document, e.File) + ", SHA-256 " + e.SHA256)})
	}
	return o
}
