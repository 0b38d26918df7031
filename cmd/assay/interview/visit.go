package interview

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// A visit is one unit put to the person once, with the walks through its decision tree so far.
type visit struct {
	*Interview
	u     *review.Unit
	rows  []dossier.Declaration
	items []review.Item
}

// menu takes one decision about the unit and what belongs to it.
func (v *visit) menu(ctx context.Context) error {
	tree := len(v.u.Case.Tree) > 0
	choice := "m met, n not met, o leave open, s skip, d rows in full, b back, q quit"
	if tree || v.u.Unit.Category != "" {
		choice = strings.Replace(choice, "o leave", "a not applicable, o leave", 1)
	}
	if tree {
		v.walked()
		choice = "w walk an item, x drop an item, " + choice
	}
	v.say("%s", choice)
	for {
		s, err := v.line(ctx, "answer")
		if err != nil {
			return err
		}
		switch key := strings.ToLower(s); key {
		case "m", "met":
			return v.answer(ctx, review.Met)
		case "n", "not-met", "not met":
			return v.answer(ctx, review.NotMet)
		case "a", "not-applicable", "not applicable":
			return v.answer(ctx, review.NotApplicable)
		case "o", "open":
			return v.answer(ctx, review.Open)
		case "s", "skip":
			v.say("skipped: it is asked again next time")
			return nil
		case "d":
			var p page
			p.rows(v.u.Case, v.rows, true)
			if len(v.u.Case.IXIT) == 0 {
				p.put("  ", "the case compares no table of the dossier")
			}
			v.write(&p)
		case "b", "back":
			return errPrevious
		case "q", "quit":
			if v.u.Said != nil && len(v.items) != len(v.u.Said.Items) {
				v.say("the walks of just now are not kept: the earlier answer stands")
			}
			return errQuit
		case "w", "walk", "x":
			if !tree {
				v.say("this case has no decision tree")
			} else if err := v.change(ctx, key == "x"); err != nil {
				return err
			}
		default:
			v.say("%q is none of these: %s", s, choice)
		}
	}
}

// answer takes what belongs to an answer and saves it.
func (v *visit) answer(ctx context.Context, answer review.Answer) error {
	tree := len(v.u.Case.Tree) > 0
	if answer == review.NotApplicable && !tree && v.u.Unit.Category == "" {
		v.say("not applicable is no answer to this unit: deny its condition in the dossier, with a reason")
		return errBack
	}
	if tree && answer != review.Open {
		if why := review.Misfit(v.u.Case, answer, v.items); why != "" {
			v.say("%s", why)
			return errBack
		}
	}
	r := review.Review{Units: []string{v.u.Address}, Answer: answer, Items: v.items}
	var err error
	if r.Statement, err = v.text(ctx, questions[answer], v.earlier(answer)); err != nil {
		return err
	}
	for answer != review.Open {
		if r.Rows, err = v.askRows(ctx); err != nil {
			return err
		}
		if r.Evidence, err = v.askEvidence(ctx); err != nil {
			return err
		}
		if v.u.Unit.Review != profiles.Document || len(r.Rows)+len(r.Evidence) > 0 {
			break
		}
		v.say("whoever read documents names them: at least one row or one document, or < to go back")
	}
	if answer == review.Open && v.u.Said != nil {
		r.Rows, r.Evidence = v.u.Said.Rows, v.u.Said.Evidence
	}
	if err := v.save(ctx, r); err != nil {
		return err
	}
	v.kept++
	v.say("saved: %s", answer)
	return nil
}

// questions ask for the statement beside each answer.
var questions = map[review.Answer]string{
	review.Met:           "what you read or did, and what shows that it is met",
	review.NotMet:        "what is wrong or missing, and where you saw it",
	review.NotApplicable: "why it does not apply",
	review.Open:          "what is still missing",
}

// save stamps a review with its person and its days, and keeps it.
func (v *visit) save(ctx context.Context, r review.Review) error {
	r.By, r.Date, r.Expires = v.By, v.Keeper.Now().UTC().Format(time.DateOnly), v.Expires
	return v.keep(ctx, r, v.u)
}

// earlier is the statement that the same person may keep beside the same answer.
func (v *visit) earlier(answer review.Answer) string {
	if s := v.u.Said; s != nil && s.By == v.By && s.Answer == answer && !strings.HasPrefix(s.Statement, unfinished) && !s.Expired(v.Keeper.Now()) {
		return s.Statement
	}
	return ""
}

// askRows takes the rows that the answer rests on: by number, by address, or all that are shown.
func (v *visit) askRows(ctx context.Context) ([]string, error) {
	var shown []string
	for _, r := range v.rows {
		shown = append(shown, r.Address)
	}
	usual := shown
	if v.u.Said != nil && len(v.u.Said.Rows) > 0 {
		usual = v.u.Said.Rows
	}
	question := "rows of the dossier that it rests on, by number or address [none]"
	if len(usual) > 0 {
		question = "rows that it rests on, by number or address, - for none [" + strings.Join(usual, ", ") + "]"
	}
	if len(usual) > 4 && slices.Equal(usual, shown) {
		question = fmt.Sprintf("rows that it rests on, by number or address, - for none [all %d above]", len(shown))
	}
	for {
		s, err := v.line(ctx, question)
		switch {
		case err != nil:
			return nil, err
		case s == "":
			return slices.Clone(usual), nil
		case s == "-":
			return nil, nil
		}
		rows, err := v.rowsOf(s, shown)
		if err == nil {
			return rows, nil
		}
		v.say("%v", err)
	}
}

func (v *visit) rowsOf(s string, shown []string) ([]string, error) {
	var out []string
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		address := word
		if n, err := strconv.Atoi(word); err == nil {
			if n < 1 || n > len(shown) {
				return nil, fmt.Errorf("there is no row with the number %d", n)
			}
			address = shown[n-1]
		}
		if _, _, ok := v.Dossier.Row(address); !ok {
			return nil, fmt.Errorf("the dossier has no row %q: write a number from above, or an address like 1-AuthMech/AuthMech-1", word)
		}
		if !slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	return out, nil
}

// askEvidence takes documents one by one. Files are hashed at once.
func (v *visit) askEvidence(ctx context.Context) ([]review.Evidence, error) {
	var out []review.Evidence
	if v.u.Said != nil && !v.u.Said.Expired(v.Keeper.Now()) {
		out = slices.Clone(v.u.Said.Evidence)
		for _, e := range out {
			v.say("cited before: %s (- drops all)", e.Document+e.File)
		}
	}
	var known []string
	for _, d := range v.Dossier.Documents {
		known = append(known, d.ID+" ("+d.Title+")")
	}
	if len(known) > 0 {
		v.say("documents of the dossier: %s", strings.Join(known, ", "))
	}
	for {
		s, err := v.line(ctx, "a document's id, or the path of a file [no more]")
		switch {
		case err != nil:
			return nil, err
		case s == "":
			return out, nil
		case s == "-":
			out = nil
			continue
		}
		e, err := v.cite(s)
		if err != nil {
			v.say("%v", err)
			continue
		}
		if slices.ContainsFunc(out, func(o review.Evidence) bool { return o.Document == e.Document && o.File == e.File }) {
			v.say("it is cited already")
			continue
		}
		out = append(out, e)
		sum := "without a digest: the dossier has no file of it"
		if len(e.SHA256) == 64 {
			sum = "sha256 " + e.SHA256[:16] + "..."
		}
		v.say("cited: %s, %s", e.Document+e.File, sum)
	}
}

func (v *visit) cite(s string) (review.Evidence, error) {
	for _, d := range v.Dossier.Documents {
		if d.ID == s {
			return review.Evidence{Document: d.ID, SHA256: d.SHA256}, nil
		}
	}
	if n := len(s); n > 2 && (s[0] == '\'' || s[0] == '"') && s[n-1] == s[0] {
		s = s[1 : n-1] // a terminal into which a file is dropped writes it so
	}
	e, err := review.Cite(v.Keeper.File().Dir, s)
	if err != nil && len(v.Dossier.Documents) > 0 {
		return e, fmt.Errorf("%w, and the dossier has no document of that id", err)
	}
	return e, err
}

// unfinished begins the statement of a review that only keeps walks through a decision tree.
const unfinished = "Not decided yet; walked so far: "

// change walks one more item through the tree or drops one, and keeps what there is now as open.
func (v *visit) change(ctx context.Context, drop bool) error {
	step := v.walk
	if drop {
		step = v.drop
	}
	if err := step(ctx); err != nil {
		return err
	}
	v.walked()
	if v.u.Said != nil && v.u.Lacks == "" {
		return nil // a given answer stands until another one is given
	}
	r := review.Review{Units: []string{v.u.Address}, Answer: review.Open, Items: v.items, Statement: unfinished + numberOf(len(v.items), "item") + "."}
	if v.u.Said != nil {
		r.Rows, r.Evidence = v.u.Said.Rows, v.u.Said.Evidence
	}
	return v.save(ctx, r)
}

// walked shows the items so far and where the tree led them.
func (v *visit) walked() {
	for i, item := range v.items {
		outcome, err := item.Outcome(v.u.Case)
		if err != nil {
			outcome = err.Error()
		}
		v.say("item %d, %s: %s", i+1, item.Name, outcome)
	}
}

// walk takes one item through the tree.
func (v *visit) walk(ctx context.Context) error {
	item := review.Item{Path: []string{}}
	var err error
	if item.Name, err = v.text(ctx, "the item (an asset, a mechanism, an interface)", ""); err != nil {
		return err
	}
	if slices.ContainsFunc(v.items, func(i review.Item) bool { return i.Name == item.Name }) {
		v.say("%s was walked already: x drops it", item.Name)
		return errBack
	}
	node := v.u.Case.Tree[0]
	for {
		yes, err := v.yes(ctx, node.ID+": "+Clean(node.Asks)+" (y/n)")
		if err != nil {
			return err
		}
		word, to := "no", node.No
		if yes {
			word, to = "yes", node.Yes
		}
		item.Path = append(item.Path, word)
		next := slices.IndexFunc(v.u.Case.Tree, func(n profiles.Node) bool { return n.ID == to })
		if next < 0 {
			break
		}
		node = v.u.Case.Tree[next]
	}
	outcome, err := item.Outcome(v.u.Case)
	if err != nil {
		return err // the loader lets no such tree in
	}
	v.say("%s: %s", item.Name, outcome)
	if item.Because, err = v.text(ctx, "why this path is right", ""); err != nil {
		return err
	}
	v.items = append(slices.Clone(v.items), item)
	return nil
}

// drop takes one item out.
func (v *visit) drop(ctx context.Context) error {
	s, err := v.line(ctx, "the number of the item to drop")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > len(v.items) {
		v.say("there is no item %q", s)
		return errBack
	}
	v.items = slices.Delete(slices.Clone(v.items), n-1, n)
	return nil
}
