// Package interview puts what no program can decide to a person at a terminal, and shows what is
// open. It takes answers down as they are given; it never gives one, and never judges one.
package interview

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"assay/profiles/dossier"
	"assay/profiles/review"
)

// An Interview puts units to a person, one by one, and keeps each answer as it is given.
type Interview struct {
	Out     io.Writer
	Dossier *dossier.Dossier       // without its secrets: all of it may be shown
	Betrays func(text string) bool // a text holds what nobody should write into a review unawares
	Keeper  *review.Keeper
	Units   []review.Unit
	By      review.Person // what is empty is asked
	Expires string        // the last day of the answers; empty: it is asked

	in   *lines
	kept int // answers given in this session
}

// Hold asks the units with the given indices and says how far it came. It ends with them, with the
// input, when the person quits, or with ctx: then with its error.
func (iv *Interview) Hold(ctx context.Context, in io.Reader, ask []int) error {
	if len(ask) == 0 {
		iv.spared(-1, len(iv.Units), map[string]bool{})
		iv.say("nothing is open; --again UNIT asks one again")
		return nil
	}
	if err := iv.Keeper.Writable(); err != nil {
		return err
	}
	iv.in = readLines(ctx, in)
	err := iv.session(ctx, ask)
	for i := range iv.Units {
		iv.Units[i].Look(iv.Keeper)
	}
	fmt.Fprintf(iv.Out, "\n%s given in this session; %d of %d still open\n", numberOf(iv.kept, "answer"), len(review.OpenUnits(iv.Units)), len(iv.Units))
	if errors.Is(err, errQuit) {
		return nil
	}
	return err
}

// session asks the units with the given indices. What was answered is saved, however it ends.
func (iv *Interview) session(ctx context.Context, ask []int) error {
	if err := iv.introduce(ctx); err != nil {
		return err
	}
	fmt.Fprintf(iv.Out, "\n%s to answer for %s. Each answer is kept in %s at once.\nAt any question below a unit, < goes back to the unit.\n\n",
		numberOf(len(ask), "unit"), Clean(iv.Keeper.File().Product.String()), iv.Keeper.Path)
	told := map[string]bool{}
	for k, last := 0, -1; k < len(ask); {
		iv.spared(last, ask[k], told)
		err := iv.one(ctx, ask, k, last)
		last = ask[k]
		switch {
		case errors.Is(err, errPrevious) && k == 0:
			iv.say("this is the first one")
		case errors.Is(err, errPrevious):
			k--
		case err != nil:
			return err
		default:
			k++
		}
	}
	iv.spared(ask[len(ask)-1], len(iv.Units), told)
	return nil
}

// spared says which requirements between two units the dossier takes out of the questions.
func (iv *Interview) spared(from, to int, told map[string]bool) {
	for i := from + 1; i < to; i++ {
		u := iv.Units[i]
		if id := u.Requirement.Address(); u.Spared != "" && !told[id] {
			told[id] = true
			var p page
			p.put("skipped: ", fmt.Sprintf("%s %s: %s", u.Requirement.ID, u.Requirement.Title, u.Spared))
			iv.write(&p)
		}
	}
}

// one shows a unit, with what goes before it since the last one that was shown, and takes an answer.
func (iv *Interview) one(ctx context.Context, ask []int, k, last int) error {
	u := &iv.Units[ask[k]]
	u.Look(iv.Keeper)
	rows := iv.Dossier.Declarations(u.Case.IXIT)
	var p page
	r, old := u.Requirement, review.Unit{}
	if last >= 0 {
		old = iv.Units[last]
	}
	if old.Requirement.Standard != r.Standard {
		p.standard(r.Standard)
	}
	if last < 0 || old.Requirement.Address() != r.Address() {
		p.requirement(r)
	}
	if last < 0 || old.Requirement.Address() != r.Address() || old.Case.ID != u.Case.ID {
		p.WriteString("\n")
		p.testCase(u.Case, rows)
	}
	p.unit(*u, k+1, len(ask))
	iv.write(&p)
	v := &visit{Interview: iv, u: u, rows: rows}
	if u.Said != nil && len(u.Case.Tree) > 0 {
		v.items = slices.Clone(u.Said.Items)
	}
	for {
		err := v.menu(ctx)
		if !errors.Is(err, errBack) {
			return err
		}
	}
}

func (iv *Interview) write(p *page) { _, _ = io.WriteString(iv.Out, p.String()) }

func (iv *Interview) say(format string, args ...any) {
	var p page
	p.put("  ", fmt.Sprintf(format, args...))
	iv.write(&p)
}

// line asks one question and takes a line that can be read.
func (iv *Interview) line(ctx context.Context, question string) (string, error) {
	for {
		var p page
		p.put("  ", question+":")
		fmt.Fprint(iv.Out, strings.TrimSuffix(p.String(), "\n")+" ")
		text, problem, err := iv.in.next(ctx)
		switch {
		case err != nil:
			fmt.Fprintln(iv.Out)
			return "", err
		case problem != "":
			iv.say("%s", problem)
			continue
		case text == "<":
			return "", errBack
		}
		return text, nil
	}
}

// text asks for words; without any, keep stands, if there is one. Secrets of the dossier want a second thought.
func (iv *Interview) text(ctx context.Context, question, keep string) (string, error) {
	if keep != "" {
		question += " [Enter keeps it]"
	}
	for {
		s, err := iv.line(ctx, question)
		switch {
		case err != nil:
			return "", err
		case s == "" && keep != "":
			return keep, nil
		case s == "":
			iv.say("that is empty: write at least a word, or < to go back")
			continue
		case !iv.Betrays(s):
			return s, nil
		}
		if yes, err := iv.yes(ctx, "that holds a password or key of the dossier, and reviews are not redacted. Keep it? (y/n)"); err != nil || yes {
			return s, err
		}
	}
}

// yes asks for yes or no.
func (iv *Interview) yes(ctx context.Context, question string) (bool, error) {
	for {
		s, err := iv.line(ctx, question)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(s) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		iv.say("y or n")
	}
}

// introduce asks once who answers, and how long it holds. What flags said is not asked.
func (iv *Interview) introduce(ctx context.Context) error {
	var old review.Person
	if n := len(iv.Keeper.File().Reviews); n > 0 {
		old = iv.Keeper.File().Reviews[n-1].By
	}
	for _, q := range []struct {
		into      *string
		what, old string
		may       bool
	}{{&iv.By.Name, "your name", old.Name, false}, {&iv.By.Role, "your role", old.Role, false}, {&iv.By.Organisation, "your organisation", old.Organisation, true}} {
		for *q.into == "" {
			question := q.what
			switch {
			case q.old != "":
				question += " [" + Clean(q.old) + "]"
			case q.may:
				question += " [none]"
			}
			s, err := iv.line(ctx, question)
			switch {
			case errors.Is(err, errBack):
				iv.say("there is nothing to go back to")
				continue
			case err != nil:
				return err
			case s == "-" && q.may, s == "" && q.old == "" && q.may:
				s = ""
			case s == "":
				s = q.old
			}
			if *q.into = s; q.may {
				break
			}
			if s == "" {
				iv.say("an answer without it counts for nothing")
			}
		}
	}
	for iv.Expires == "" {
		year := review.NextYear(iv.Keeper.Now())
		s, err := iv.line(ctx, "your answers hold until ["+year+"]")
		switch {
		case errors.Is(err, errBack):
			continue
		case err != nil:
			return err
		case s == "":
			s = year
		}
		if err := review.GoodExpiry(s, iv.Keeper.Now()); err != nil {
			iv.say("%v", err)
			continue
		}
		iv.Expires = s
	}
	return nil
}

// keep saves an answer. What keeps it from being saved is said, and tried again when the person wants.
func (iv *Interview) keep(ctx context.Context, r review.Review, u *review.Unit) error {
	for {
		err := iv.Keeper.Put(r, u.Said)
		if err == nil || errors.Is(err, review.ErrTaken) {
			u.Look(iv.Keeper)
		}
		switch {
		case errors.Is(err, review.ErrTaken):
			var p page
			p.put("  ", u.Address+" "+err.Error()+": your answer is not saved, theirs stands")
			p.before(*u)
			iv.write(&p)
			return errBack
		case err == nil:
			return nil
		}
		iv.say("NOT SAVED: %v", err)
		if _, err := iv.line(ctx, "Enter tries again, < gives this answer up"); err != nil {
			return err
		}
	}
}

func numberOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
