// Package show leads from a verdict to what it rests on: the observation with its attempts and how each condition
// came out over it, the frames that it cites, and the reviews. It judges nothing and shows no more than the record
// holds.
package show

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/lab/capture"
	"assay/probes"
	"assay/profiles"
	"assay/profiles/strict"
	"assay/reports"
	"assay/reports/verdict"
)

// An Answer is what an id stands for. The same id may name requirements of several standards.
type Answer struct {
	Observation  *Observation  `json:"observation,omitempty"`
	Requirements []Requirement `json:"requirements,omitempty"`
}

// An Observation is one, with everything that leads to it and that it leads to.
type Observation struct {
	probes.Observation
	Asks     string         `json:"asks"`
	Seconds  float64        `json:"seconds"`
	Attempts []Attempt      `json:"attempts"` // of its step, this one among them
	Checks   []Check        `json:"checks"`   // that it decided
	Packets  []capture.Line `json:"packets,omitempty"`
	Of       uint64         `json:"frames_cited"` // how many frames it cites
	Where    string         `json:"frames_where"` // in which files, and what was lost
	Trouble  string         `json:"packets_error,omitempty"`
}

// An Attempt is one observation of a step, in a word.
type Attempt struct {
	ID      string    `json:"id"`
	Attempt int       `json:"attempt"`
	Start   time.Time `json:"start"`
	Came    string    `json:"came"` // facts, error: ..., not asked: ...
}

// A Check is a check that an observation decided.
type Check struct {
	ID       string            `json:"id"`
	Verdict  verdict.Verdict   `json:"verdict"`
	Reason   string            `json:"reason"`
	Serves   []string          `json:"requirements"`
	Rows     []string          `json:"rows,omitempty"`
	Given    []profiles.Clause `json:"given,omitempty"`
	Expect   []profiles.Clause `json:"expect,omitempty"`
	Anchored string            `json:"anchored"` // where what it rests on can be seen
}

// A Requirement is a requirement, or one unit of it.
type Requirement struct {
	ID       string          `json:"id"`
	Title    string          `json:"title"`
	Level    string          `json:"level"`
	Verdict  verdict.Verdict `json:"verdict"`
	Reason   string          `json:"reason"`
	Units    []Unit          `json:"units"`
	Checks   []Check         `json:"checks"`
	Narrowed string          `json:"unit,omitempty"` // the one unit that was asked for
}

// A Unit is one unit of a requirement.
type Unit struct {
	Address string          `json:"address"`
	Asks    string          `json:"asks"`
	Verdict verdict.Verdict `json:"verdict"`
	Reason  string          `json:"reason"`
	Checks  []string        `json:"checks,omitempty"`
	Review  string          `json:"review,omitempty"` // who answered, when, and what the answer rests on
}

// Find tells what an id of a report stands for: an observation, a requirement, a unit or a check. packets bounds how
// many frames are decoded.
func Find(r *reports.Report, id string, packets int) (*Answer, error) {
	for _, o := range r.Observations {
		if o.ID == id {
			return &Answer{Observation: observation(r, o, packets)}, nil
		}
	}
	a := &Answer{}
	var known []string
	for _, o := range r.Observations {
		known = append(known, o.ID)
	}
	for _, p := range r.Profiles {
		for _, q := range p.Requirements {
			known = append(known, q.ID, q.Standard+"/"+q.ID)
			if id == q.ID || id == q.Standard+"/"+q.ID {
				a.Requirements = append(a.Requirements, requirement(r, q))
			}
			for _, c := range q.Cases {
				for _, u := range c.Units {
					address := c.ID + "." + u.ID
					known = append(known, address, q.Standard+"/"+address)
					if id == address || id == q.Standard+"/"+address {
						a.Requirements = append(a.Requirements, narrowed(requirement(r, q), q.Standard+"/"+address))
					}
				}
			}
			for _, c := range q.Checks {
				known = append(known, c.ID)
				if id == c.ID {
					one := requirement(r, q)
					one.Units = slices.DeleteFunc(one.Units, func(u Unit) bool { return !slices.Contains(u.Checks, id) })
					one.Checks = slices.DeleteFunc(one.Checks, func(c Check) bool { return c.ID != id })
					a.Requirements = append(a.Requirements, one)
				}
			}
		}
	}
	if len(a.Requirements) == 0 {
		slices.Sort(known)
		return nil, fmt.Errorf("the run has no observation, requirement, unit or check %q%s", id, strict.Suggest(id, slices.Compact(known)))
	}
	return a, nil
}

// narrowed keeps one unit of a requirement, and the checks that answer it.
func narrowed(q Requirement, address string) Requirement {
	q.Narrowed = address
	q.Units = slices.DeleteFunc(q.Units, func(u Unit) bool { return u.Address != address })
	q.Checks = slices.DeleteFunc(q.Checks, func(c Check) bool {
		return len(q.Units) > 0 && !slices.Contains(q.Units[0].Checks, c.ID)
	})
	return q
}

func requirement(r *reports.Report, q verdict.Requirement) Requirement {
	out := Requirement{ID: q.Standard + "/" + q.ID, Title: q.Title, Level: q.Level, Verdict: q.Verdict, Reason: q.Reason, Units: []Unit{}, Checks: []Check{}}
	for _, c := range q.Cases {
		for _, u := range c.Units {
			one := Unit{Address: q.Standard + "/" + c.ID + "." + u.ID, Asks: u.Asks, Verdict: u.Verdict, Reason: u.Reason, Checks: u.Checks}
			if u.Review != nil {
				one.Review = said(*u.Review)
			}
			out.Units = append(out.Units, one)
		}
	}
	for _, c := range q.Checks {
		out.Checks = append(out.Checks, check(r, c))
	}
	return out
}

// said words a review: by whom, when, and what it rests on.
func said(v verdict.Review) string {
	if v.Said == nil {
		return "wants a named person: nobody has answered"
	}
	s := fmt.Sprintf("%s on %s, %s (%s): %s", v.Said.Answer, v.Said.Date, v.Said.By.Name, v.Said.By.Role, v.Said.Statement)
	for _, e := range v.Said.Evidence {
		what := e.Document + e.File
		if e.SHA256 != "" {
			what += fmt.Sprintf(" (sha256 %.16s)", e.SHA256)
		}
		s += "; cites " + what
	}
	return s
}

// check tells what a check rests on.
func check(r *reports.Report, c verdict.Check) Check {
	out := Check{ID: c.ID, Verdict: c.Verdict, Reason: c.Reason, Serves: serves(r, c.ID), Rows: c.Rows}
	switch {
	case c.Step == "":
		out.Anchored = "the dossier; the device is not asked"
	case c.Observation == "":
		out.Anchored = "nothing was observed"
	default:
		out.Anchored = "observation " + c.Observation
		if where := r.Frame(c.Observation); where != "" {
			out.Anchored += ", " + where
		}
	}
	for _, o := range r.Observations {
		if o.ID == c.Observation {
			out.Given, out.Expect = r.Explain(c.ID, o)
		}
	}
	return out
}

// serves lists the requirements that name a check.
func serves(r *reports.Report, id string) []string {
	var out []string
	for _, p := range r.Profiles {
		for _, q := range p.Requirements {
			if slices.ContainsFunc(q.Checks, func(c verdict.Check) bool { return c.ID == id }) {
				out = append(out, q.Standard+"/"+q.ID)
			}
		}
	}
	return out
}

func observation(r *reports.Report, o probes.Observation, most int) *Observation {
	out := &Observation{Observation: o, Asks: r.Asks(o.Probe), Seconds: o.End.Sub(o.Start).Seconds(), Attempts: []Attempt{}, Checks: []Check{}}
	for _, other := range r.Observations {
		if other.Step == o.Step {
			out.Attempts = append(out.Attempts, Attempt{other.ID, other.Attempt, other.Start, came(other)})
		}
	}
	told := map[string]bool{}
	for _, p := range r.Profiles {
		for _, q := range p.Requirements {
			for _, c := range q.Checks {
				if c.Observation == o.ID && !told[c.ID] {
					told[c.ID] = true
					out.Checks = append(out.Checks, check(r, c))
				}
			}
		}
	}
	if o.Frames != nil {
		out.Where = r.Cited(o)
	}
	if o.Frames != nil && o.Frames.Last >= o.Frames.First {
		out.Of = o.Frames.Last - o.Frames.First + 1
		if most > 0 {
			var err error
			if out.Packets, err = r.Packets(o, most); err != nil {
				out.Trouble = err.Error()
			}
		}
	}
	return out
}

func came(o probes.Observation) string {
	switch {
	case o.Error != "":
		return "error: " + o.Error
	case o.NotAsked != "":
		return "not asked: " + o.NotAsked
	}
	return "facts"
}

// pairs lists a flat JSON object's names and values, sorted by name.
func pairs(raw json.RawMessage) [][2]string {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return [][2]string{{"", string(raw)}}
	}
	var out [][2]string
	for k, v := range m {
		out = append(out, [2]string{k, string(v)})
	}
	slices.SortFunc(out, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}
