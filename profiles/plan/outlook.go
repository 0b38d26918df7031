package plan

import (
	"fmt"
	"slices"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
	"assay/profiles/strict"
)

// A Prospect is what is to be expected of a requirement before anything runs.
type Prospect string

const (
	Decided Prospect = "decided" // everything that it asks will be answered
	Spared  Prospect = "spared"  // the dossier takes it out of the questions, with a reason
	OpenEnd Prospect = "open"    // something will stay unanswered: inconclusive at best
	Failing Prospect = "failing" // the dossier itself says that it is not met
)

// An Outlook tells of one requirement what will be asked of whom.
type Outlook struct {
	Standard   string   `json:"standard"`
	ID         string   `json:"id"`
	Title      string   `json:"title"`
	Level      string   `json:"level"`
	Prospect   Prospect `json:"prospect"`
	Because    []string `json:"because,omitempty"` // why it is spared or stays open
	Checks     int      `json:"checks"`
	Reviews    int      `json:"reviews"`              // units that want a named person's answer
	Unreviewed int      `json:"unreviewed,omitempty"` // of these, those that nobody has answered yet
	Unanswered int      `json:"unanswered,omitempty"` // units that nothing answers yet
}

// Outlooks tells of every requirement of a set what a plan and the reviews at hand will leave open.
func Outlooks(d *dossier.Dossier, set *profiles.Set, p *Plan, reviews []review.Review) []Outlook {
	notAsked := map[string]string{} // by check
	for _, s := range p.Steps {
		for _, id := range s.Checks {
			if s.NotAsked != "" && !s.Inapplicable {
				notAsked[id] = s.NotAsked
			}
		}
	}
	denied := map[string]bool{} // checks that do not apply to the product, by the dossier
	for _, c := range set.Checks() {
		denied[c.ID] = !c.When.Holds(d.Spared)
	}
	answered := map[string]bool{}
	for _, r := range reviews {
		for _, u := range r.Units {
			answered[u] = answered[u] || r.Answer != review.Open
		}
	}
	var out []Outlook
	for _, r := range set.Required() {
		o := Outlook{Standard: r.Standard.ID, ID: r.ID, Title: r.Title, Level: r.Level, Prospect: Decided, Checks: len(r.Checks())}
		if because, spared := d.Spares(r); spared {
			o.Prospect, o.Because = Spared, []string{because}
			out = append(out, o)
			continue
		}
		if why, condemned := d.Condemns(r); condemned {
			o.Prospect, o.Because = Failing, []string{why}
			o.count(r, answered, denied)
			o.Because = o.Because[:1] // whatever else is open, this decides
			out = append(out, o)
			continue
		}
		seen := map[string]bool{}
		for _, id := range r.Checks() {
			if why := notAsked[id]; why != "" && !seen[why] {
				seen[why] = true
				o.Because = append(o.Because, why)
			}
		}
		o.count(r, answered, denied)
		if len(o.Because) > 0 {
			o.Prospect = OpenEnd
		}
		out = append(out, o)
	}
	return out
}

// count adds what persons have to answer, and what nobody can.
func (o *Outlook) count(r profiles.Required, answered, denied map[string]bool) {
	var waiting, nothing, idle []string
	for _, c := range r.Cases {
		for _, u := range c.Units {
			switch {
			case u.Review != "":
				o.Reviews++
				if !answered[profiles.UnitAddress(r.Standard.ID, c.ID, u.ID)] {
					waiting = append(waiting, c.ID+"."+u.ID)
				}
			case len(u.Checks) == 0:
				nothing = append(nothing, c.ID+"."+u.ID)
			case !slices.ContainsFunc(u.Checks, func(id string) bool { return !denied[id] }):
				idle = append(idle, c.ID+"."+u.ID)
			}
		}
	}
	o.Unreviewed, o.Unanswered = len(waiting), len(nothing)
	if len(waiting) > 0 {
		o.Because = append(o.Because, fmt.Sprintf("%d of %d reviews are missing: %s", len(waiting), o.Reviews, few(waiting)))
	}
	if len(nothing) > 0 {
		o.Because = append(o.Because, "nothing answers "+few(nothing)+" yet")
	}
	if len(idle) > 0 {
		o.Because = append(o.Because, "by what the dossier denies, no check of "+few(idle)+" applies to this product: nothing will show that it is met")
	}
	if len(r.Cases) == 0 {
		o.Because = append(o.Because, "nothing answers it yet")
	}
}

// few names some of many.
func few(names []string) string { return strict.Few(names, 6) }
