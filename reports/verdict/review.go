package verdict

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"assay/profiles"
	"assay/profiles/review"
)

// noReview is the reason where nobody answered.
const noReview = "no review is on record"

// reviewed sorts reviews by the units that they answer, in an order of their own.
func reviewed(all []review.Review) map[string][]review.Review {
	out := map[string][]review.Review{}
	for _, r := range all {
		for _, u := range r.Units {
			out[u] = append(out[u], r)
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b review.Review) int {
			return cmp.Or(strings.Compare(a.Date, b.Date), strings.Compare(a.By.Name, b.By.Name), strings.Compare(string(a.Answer), string(b.Answer)), strings.Compare(bytesOf(a), bytesOf(b)))
		})
	}
	return out
}

func bytesOf(r review.Review) string {
	b, _ := json.Marshal(r) // plain text and lists: JSON has a form for each
	return string(b)
}

// review gives what named persons say of a unit: the worst of all answers that hold on the day.
// Nobody's answer, an expired one, or one that cites nothing is no answer.
func (j *judge) review(r profiles.Required, c profiles.Case, u profiles.Unit) *Review {
	out := &Review{Wants: u.Review, Verdict: Inconclusive, Reason: noReview}
	var worst Verdict
	for _, said := range j.reviews[profiles.UnitAddress(r.Standard.ID, c.ID, u.ID)] {
		v, reason := j.said(c, u, said)
		if worst == "" || worse(v, worst) || worst == NotApplicable && v == Pass {
			worst = v
			out.Verdict, out.Reason, out.Said = v, reason, &said
		}
	}
	return out
}

// said decides one answer.
func (j *judge) said(c profiles.Case, u profiles.Unit, r review.Review) (Verdict, string) {
	by := fmt.Sprintf("%s (%s, %s)", clip(r.By.Name), clip(r.By.Role), r.Date)
	no := func(why string) (Verdict, string) {
		return Inconclusive, "the review by " + by + " does not count: " + why
	}
	_, last, err := r.Days()
	switch {
	case err != nil:
		return no(err.Error())
	case j.on.After(last):
		return no("it expired on " + r.Expires)
	case r.Product != review.ProductOf(j.d):
		return no("it is about " + r.Product.String())
	}
	if err := r.Grounded(u.Review); err != nil {
		return no(err.Error())
	}
	for _, row := range r.Rows {
		if _, _, ok := j.d.Row(row); !ok {
			return no("it cites row " + clip(row) + ", which the dossier does not have")
		}
	}
	if len(c.Tree) > 0 {
		return j.walked(c, r, by, no)
	}
	switch {
	case r.Answer == review.Met:
		return Pass, "met, says " + by
	case r.Answer == review.NotMet:
		return Fail, "not met, says " + by + ": " + clip(r.Statement)
	case r.Answer == review.NotApplicable && u.Category != "":
		return NotApplicable, "not applicable, says " + by + ": " + clip(r.Statement)
	case r.Answer == review.NotApplicable:
		return no("not-applicable is no answer to this unit: deny its condition in the dossier, with a reason")
	default:
		return Inconclusive, "left open by " + by + ": " + clip(r.Statement)
	}
}

// walked sums up the walks through a decision tree as EN 18031 assigns verdicts: type A passes if one
// item passes and none fails, type B if all pass; where every item is out of scope, A does not apply,
// and neither does where the product has no such item at all.
func (j *judge) walked(c profiles.Case, r review.Review, by string, no func(string) (Verdict, string)) (Verdict, string) {
	count := map[string]int{}
	var failing, outside []string
	for _, item := range r.Items {
		answers, err := item.Answered()
		if err != nil {
			return no(err.Error())
		}
		outcome, err := c.Walk(answers)
		if err != nil {
			return no("item " + clip(item.Name) + ": " + err.Error())
		}
		if strings.TrimSpace(item.Because) == "" {
			return no("the path of item " + clip(item.Name) + " has no justification")
		}
		count[outcome]++
		switch outcome {
		case profiles.OutcomeFail:
			failing = append(failing, item.Name)
		case profiles.OutcomeNotApplicable:
			outside = append(outside, item.Name)
		}
	}
	none := len(r.Items) == 0
	switch {
	case r.Answer == review.Open:
		return Inconclusive, "left open by " + by + ": " + clip(r.Statement)
	case r.Answer == review.NotMet:
		return Fail, "not met, says " + by + ": " + clip(r.Statement)
	case len(failing) > 0:
		return Fail, "the decision tree fails for " + few(failing) + ", says " + by
	case c.Verdicts == "B" && len(outside) > 0:
		return Fail, "the decision tree does not pass for " + few(outside) + ", says " + by
	case count[profiles.OutcomePass] > 0 && r.Answer == review.Met:
		return Pass, fmt.Sprintf("the decision tree passes for %d items, says %s", count[profiles.OutcomePass], by)
	case count[profiles.OutcomePass] > 0:
		return no("it says not-applicable, but the decision tree passes for an item")
	case none && r.Answer == review.NotApplicable:
		return NotApplicable, "no item is in scope, says " + by + ": " + clip(r.Statement)
	case none:
		return no("it walks through the decision tree for no item")
	default:
		return NotApplicable, "the decision tree leaves every item out of scope (" + few(outside) + "), says " + by
	}
}
