package profiles

import (
	"fmt"
	"slices"

	"assay/profiles/strict"
)

var outcomes = []string{OutcomePass, OutcomeFail, OutcomeNotApplicable}

// checkTree refuses a decision tree that can be walked into nowhere or for ever.
func checkTree(doc *strict.Doc, key string, c Case) {
	switch {
	case len(c.Tree) == 0 && c.Verdicts == "":
		return
	case len(c.Tree) == 0:
		doc.Complain(key+".verdicts", "sums up a tree, but there is none: write one or remove the key")
		return
	case c.Kind != Conceptual:
		doc.Complain(key+".tree", "stands in a %s case: only a conceptual one has a decision tree", c.Kind)
	case c.Verdicts != "A" && c.Verdicts != "B":
		doc.Complain(key+".verdicts", "is %q, wants A (pass, fail, not applicable) or B (pass, fail)", c.Verdicts)
	}
	known := map[string]int{}
	twice := false
	for i, n := range c.Tree {
		where := at(key+".tree", i)
		filled(doc, where, "id", n.ID, "asks", n.Asks)
		if _, again := known[n.ID]; again {
			doc.Complain(where+".id", "there is another node %q", n.ID)
			twice = true
		}
		known[n.ID] = i
	}
	if twice {
		return // where its paths lead is not to be told
	}
	reached := map[int]bool{0: true}
	for i, n := range c.Tree {
		for _, leads := range []struct{ key, to string }{{"yes", n.Yes}, {"no", n.No}} {
			next, ok := known[leads.to]
			switch where := at(key+".tree", i) + "." + leads.key; {
			case slices.Contains(outcomes, leads.to):
			case !ok:
				doc.Complain(where, "leads to %q, which is neither a node nor PASS, FAIL or NA", leads.to)
			case next <= i:
				doc.Complain(where, "leads back to %q: a tree only goes on", leads.to)
			default:
				reached[next] = true
			}
		}
	}
	for i, n := range c.Tree {
		if !reached[i] {
			doc.Complain(at(key+".tree", i)+".id", "%q can never be reached: let another node lead to it, or remove it", n.ID)
		}
	}
}

// Walk follows answers through a case's decision tree, in its order of questions, and returns the
// outcome. Too few or too many answers are an error.
func (c Case) Walk(answers []bool) (outcome string, err error) {
	if len(c.Tree) == 0 {
		return "", fmt.Errorf("%s has no decision tree", c.ID)
	}
	node := c.Tree[0]
	for i, yes := range answers {
		to := node.No
		if yes {
			to = node.Yes
		}
		if slices.Contains(outcomes, to) {
			if i < len(answers)-1 {
				return "", fmt.Errorf("%s is decided (%s) after %d answers, but there are %d", c.ID, to, i+1, len(answers))
			}
			return to, nil
		}
		next := slices.IndexFunc(c.Tree, func(n Node) bool { return n.ID == to })
		if next < 0 {
			return "", fmt.Errorf("%s leads to %q, which is not there", c.ID, to)
		}
		node = c.Tree[next]
	}
	return "", fmt.Errorf("%s is not answered", node.ID)
}
