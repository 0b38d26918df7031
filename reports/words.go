package reports

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/lab/bench"
	"assay/profiles"
	"assay/reports/verdict"
)

// Count tells in words how many requirements have which verdict.
func Count(v verdict.Result) string {
	n := map[verdict.Verdict]int{}
	for _, r := range v.Requirements {
		n[Closed(r.Verdict)]++
	}
	parts := []string{fmt.Sprintf("%d requirements", len(v.Requirements))}
	for _, word := range []verdict.Verdict{verdict.Pass, verdict.Fail, verdict.Inconclusive, verdict.NotApplicable} {
		if n[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[word], word))
		}
	}
	return strings.Join(parts, ", ")
}

// Sign is a verdict as one character.
func Sign(v verdict.Verdict) string {
	switch v {
	case verdict.Pass:
		return "✓"
	case verdict.Fail:
		return "✗"
	case verdict.NotApplicable:
		return "–"
	default:
		return "?"
	}
}

// PartOnly is said wherever a profile leaves something of its standards out.
const PartOnly = "conformity to a part is not conformity to the whole"

// A Group is the verdicts by one standard.
type Group struct {
	verdict.Standard
	Requirements []verdict.Requirement
}

// ByStandard sorts a result's requirements by their standards, in the profile's order.
func ByStandard(v verdict.Result) []Group {
	var out []Group
	at := map[string]int{}
	for _, s := range v.Standards {
		at[s.ID] = len(out)
		out = append(out, Group{Standard: s})
	}
	for _, r := range v.Requirements {
		i, ok := at[r.Standard]
		if !ok {
			i = len(out)
			at[r.Standard] = i
			out = append(out, Group{Standard: verdict.Standard{ID: r.Standard, Edition: r.Edition}})
		}
		out[i].Requirements = append(out[i].Requirements, r)
	}
	return slices.DeleteFunc(out, func(g Group) bool { return len(g.Requirements) == 0 })
}

// A Limit is a restriction and the requirements that it touches; none: all of them.
type Limit struct {
	profiles.Restriction
	Requirements []string
}

// Limits lists a standard's restrictions: of the whole first, then those of single requirements, each once.
func (g Group) Limits() []Limit {
	var out []Limit
	for _, x := range g.Restrictions {
		out = append(out, Limit{Restriction: x})
	}
	at := map[string]int{}
	for _, r := range g.Requirements {
		for _, x := range r.Restrictions {
			i, ok := at[x.ID]
			if !ok {
				i = len(out)
				at[x.ID] = i
				out = append(out, Limit{Restriction: x})
			}
			out[i].Requirements = append(out[i].Requirements, r.ID)
		}
	}
	return out
}

// Touches says in words what a restriction is about.
func (l Limit) Touches() string {
	const most = 6
	switch n := len(l.Requirements); {
	case n == 0:
		return "the whole standard"
	case n > most:
		return fmt.Sprintf("%d requirements", n)
	default:
		return strings.Join(l.Requirements, ", ")
	}
}

// Words are a restriction's effect and consequence as running text.
func (l Limit) Words() string {
	effect, then := strings.TrimRight(strings.TrimSpace(l.Effect), "."), strings.TrimRight(strings.TrimSpace(l.Consequence), ".")
	switch {
	case then == "":
		return effect + "."
	case strings.ToLower(then[:1]) == then[:1]:
		return effect + "; " + then + "."
	default:
		return effect + ". " + then + "."
	}
}

// Presumption lists the dated facts that tell what conformity to the standard is presumed to show.
func (g Group) Presumption() []profiles.DatedFact {
	return slices.DeleteFunc(slices.Clone(g.Register), func(f profiles.DatedFact) bool { return f.Kind != profiles.Presumption })
}

// Recalled is the certainty of what nobody held against the standard's own text.
const Recalled = "recalled"

// Answers counts what became of the questions to named persons.
type Answers struct{ Met, NotMet, NotApplicable, Wanted int }

// Given counts the answers that count.
func (a Answers) Given() int { return a.Met + a.NotMet + a.NotApplicable }

// Reviews counts the answers of named persons to requirements. One that the dossier itself gives up
// wants none.
func Reviews(list ...verdict.Requirement) Answers {
	var a Answers
	for _, r := range list {
		if r.Verdict == verdict.Fail && !Explained(r) {
			continue
		}
		for _, u := range Units(r) {
			if u.Review == nil || u.Review.Said == nil && u.Verdict == verdict.NotApplicable {
				continue
			}
			a.Wanted++
			if u.Review.Said == nil {
				continue
			}
			switch u.Review.Verdict {
			case verdict.Pass:
				a.Met++
			case verdict.Fail:
				a.NotMet++
			case verdict.NotApplicable:
				a.NotApplicable++
			}
		}
	}
	return a
}

// Units lists a requirement's units, whatever case they are of.
func Units(r verdict.Requirement) []verdict.Unit {
	var out []verdict.Unit
	for _, c := range r.Cases {
		out = append(out, c.Units...)
	}
	return out
}

// NoReview lists the units that wait for a named person, e.g. "5.1-3-1.a to d".
func NoReview(r verdict.Requirement) []string {
	return addresses(r, func(u verdict.Unit) bool {
		return u.Review != nil && u.Review.Said == nil && u.Review.Verdict == verdict.Inconclusive
	})
}

// NoAnswer lists the units that nothing answers yet.
func NoAnswer(r verdict.Requirement) []string {
	return addresses(r, func(u verdict.Unit) bool {
		return u.Review == nil && len(u.Checks) == 0 && u.Verdict == verdict.Inconclusive
	})
}

// addresses names units by case and id; neighbours become one range.
func addresses(r verdict.Requirement, pick func(verdict.Unit) bool) []string {
	var out []string
	for _, c := range r.Cases {
		for i := 0; i < len(c.Units); i++ {
			if !pick(c.Units[i]) {
				continue
			}
			last := i
			for last+1 < len(c.Units) && pick(c.Units[last+1]) {
				last++
			}
			one := c.ID + "." + c.Units[i].ID
			switch last - i {
			case 0:
			case 1:
				one += " and " + c.Units[last].ID
			default:
				one += " to " + c.Units[last].ID
			}
			out = append(out, one)
			i = last
		}
	}
	return out
}

// Apart tells whether a unit's verdict is none of its answers' own: its reason is then told nowhere else.
func Apart(r verdict.Requirement, u verdict.Unit) bool {
	if u.Review == nil && len(u.Checks) == 0 || u.Review != nil && u.Review.Verdict == u.Verdict {
		return false
	}
	return !slices.ContainsFunc(r.Checks, func(c verdict.Check) bool { return c.Verdict == u.Verdict && slices.Contains(u.Checks, c.ID) })
}

// Explained tells whether a requirement's reason only repeats what its checks and units say, so that
// a face that prints those need not print it.
func Explained(r verdict.Requirement) bool {
	for _, c := range r.Checks {
		if c.Verdict == r.Verdict && strings.Contains(r.Reason, c.ID+": "+c.Reason) {
			return true
		}
	}
	for _, c := range r.Cases {
		for _, u := range c.Units {
			answer := u.Reason
			if u.Review != nil && u.Review.Verdict == r.Verdict {
				answer = u.Review.Reason
			}
			if u.Verdict == r.Verdict && (strings.Contains(r.Reason, answer) || strings.Contains(r.Reason, "nothing answers "+c.ID+"."+u.ID)) {
				return true
			}
		}
	}
	return false
}

// Asks is a probe's question, as it was put on the day; empty in a report that was not built from a record.
func (r *Report) Asks(probe string) string {
	if r.set == nil {
		return ""
	}
	return r.set.Schemas[probe].Asks
}

// Label names a step for people: the probe and what tells it from its sisters, e.g.
// "update/refusal older https"; times and counts are left out.
func Label(probe string, with json.RawMessage) string {
	var parameters map[string]any
	if json.Unmarshal(with, &parameters) != nil {
		return probe
	}
	label := probe
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if word, ok := parameters[name].(string); ok && word != "" {
			label += " " + word
		}
	}
	return label
}

// Missing tells what the bench could not observe and how to get the full one.
func (r *Report) Missing() []string {
	var b struct {
		Missing []bench.Missing `json:"missing"`
	}
	if len(r.Bench) == 0 || json.Unmarshal(r.Bench, &b) != nil {
		return nil
	}
	var out []string
	for _, m := range b.Missing {
		s := fmt.Sprintf("This bench had no %s: %s.", m.Instrument, m.Because)
		if m.Mend != "" {
			s += " To mend it: " + m.Mend
		}
		out = append(out, s)
	}
	return out
}
