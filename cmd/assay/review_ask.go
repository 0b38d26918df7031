package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"assay/profiles/dossier"
	"assay/profiles/review"
)

// An asker puts units to a person, one by one, and keeps each answer as it is given.
type asker struct {
	in      *lines
	out     io.Writer
	d       *dossier.Dossier // without its secrets: all of it may be shown
	secrets []string         // what nobody should write into a review unawares
	file    *reviewFile
	units   []reviewUnit
	by      review.Person
	expires string
	kept    int // answers given in this session
}

// session asks the units with the given indices. What was answered is saved, however it ends.
func (a *asker) session(ctx context.Context, ask []int) error {
	if err := a.introduce(ctx); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%s to answer for %s. Each answer is kept in %s at once.\nAt any question below a unit, < goes back to the unit.\n\n",
		numberOf(len(ask), "unit"), clean(a.file.f.Product.String()), a.file.path)
	told := map[string]bool{}
	for k, last := 0, -1; k < len(ask); {
		a.spared(last, ask[k], told)
		err := a.one(ctx, ask, k, last)
		last = ask[k]
		switch {
		case errors.Is(err, errPrevious) && k == 0:
			a.say("this is the first one")
		case errors.Is(err, errPrevious):
			k--
		case err != nil:
			return err
		default:
			k++
		}
	}
	a.spared(ask[len(ask)-1], len(a.units), told)
	return nil
}

// spared says which requirements between two units the dossier takes out of the questions.
func (a *asker) spared(from, to int, told map[string]bool) {
	for i := from + 1; i < to; i++ {
		u := a.units[i]
		if id := u.Requirement.Address(); u.spared != "" && !told[id] {
			told[id] = true
			var p page
			p.put("skipped: ", fmt.Sprintf("%s %s: %s", u.Requirement.ID, u.Requirement.Title, u.spared))
			a.write(&p)
		}
	}
}

// one shows a unit, with what goes before it since the last one that was shown, and takes an answer.
func (a *asker) one(ctx context.Context, ask []int, k, last int) error {
	u := &a.units[ask[k]]
	u.look(a.file)
	rows := a.d.Declarations(u.Case.IXIT)
	var p page
	r, old := u.Requirement, reviewUnit{}
	if last >= 0 {
		old = a.units[last]
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
	a.write(&p)
	v := &visit{asker: a, u: u, rows: rows}
	if u.said != nil && len(u.Case.Tree) > 0 {
		v.items = slices.Clone(u.said.Items)
	}
	for {
		err := v.menu(ctx)
		if !errors.Is(err, errBack) {
			return err
		}
	}
}

func (a *asker) write(p *page) { _, _ = io.WriteString(a.out, p.String()) }

func (a *asker) say(format string, args ...any) {
	var p page
	p.put("  ", fmt.Sprintf(format, args...))
	a.write(&p)
}

// line asks one question and takes a line that can be read.
func (a *asker) line(ctx context.Context, question string) (string, error) {
	for {
		var p page
		p.put("  ", question+":")
		fmt.Fprint(a.out, strings.TrimSuffix(p.String(), "\n")+" ")
		text, problem, err := a.in.next(ctx)
		switch {
		case err != nil:
			fmt.Fprintln(a.out)
			return "", err
		case problem != "":
			a.say("%s", problem)
			continue
		case text == "<":
			return "", errBack
		}
		return text, nil
	}
}

// text asks for words; without any, keep stands, if there is one. Secrets of the dossier want a second thought.
func (a *asker) text(ctx context.Context, question, keep string) (string, error) {
	if keep != "" {
		question += " [Enter keeps it]"
	}
	for {
		s, err := a.line(ctx, question)
		switch {
		case err != nil:
			return "", err
		case s == "" && keep != "":
			return keep, nil
		case s == "":
			a.say("that is empty: write at least a word, or < to go back")
			continue
		case !slices.ContainsFunc(a.secrets, func(secret string) bool { return strings.Contains(s, secret) }):
			return s, nil
		}
		if yes, err := a.yes(ctx, "that holds a password or key of the dossier, and reviews are not redacted. Keep it? (y/n)"); err != nil || yes {
			return s, err
		}
	}
}

// yes asks for yes or no.
func (a *asker) yes(ctx context.Context, question string) (bool, error) {
	for {
		s, err := a.line(ctx, question)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(s) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
		a.say("y or n")
	}
}

// introduce asks once who answers, and how long it holds. What flags said is not asked.
func (a *asker) introduce(ctx context.Context) error {
	var old review.Person
	if n := len(a.file.f.Reviews); n > 0 {
		old = a.file.f.Reviews[n-1].By
	}
	for _, q := range []struct {
		into      *string
		what, old string
		may       bool
	}{{&a.by.Name, "your name", old.Name, false}, {&a.by.Role, "your role", old.Role, false}, {&a.by.Organisation, "your organisation", old.Organisation, true}} {
		for *q.into == "" {
			question := q.what
			switch {
			case q.old != "":
				question += " [" + clean(q.old) + "]"
			case q.may:
				question += " [none]"
			}
			s, err := a.line(ctx, question)
			switch {
			case errors.Is(err, errBack):
				a.say("there is nothing to go back to")
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
				a.say("an answer without it counts for nothing")
			}
		}
	}
	for a.expires == "" {
		year := a.file.now().UTC().AddDate(1, 0, 0).Format(time.DateOnly)
		s, err := a.line(ctx, "your answers hold until ["+year+"]")
		switch {
		case errors.Is(err, errBack):
			continue
		case err != nil:
			return err
		case s == "":
			s = year
		}
		if err := goodExpiry(s, a.file.now()); err != nil {
			a.say("%v", err)
			continue
		}
		a.expires = s
	}
	return nil
}

// goodExpiry refuses what is no day, or one that has passed.
func goodExpiry(s string, now time.Time) error {
	last, err := time.Parse(time.DateOnly, s)
	switch {
	case err != nil:
		return fmt.Errorf("%s is not a date: write it like %s", quote(s), now.UTC().AddDate(1, 0, 0).Format(time.DateOnly))
	case last.Before(now.UTC().Truncate(24 * time.Hour)):
		return fmt.Errorf("%s has passed: an answer would not count for a day", s)
	}
	return nil
}

// keep saves an answer. What keeps it from being saved is said, and tried again when the person wants.
func (a *asker) keep(ctx context.Context, r review.Review, u *reviewUnit) error {
	for {
		err := a.file.put(r, u.said)
		if err == nil || errors.Is(err, errTaken) {
			u.look(a.file)
		}
		switch {
		case errors.Is(err, errTaken):
			var p page
			p.put("  ", u.Address+" "+err.Error()+": your answer is not saved, theirs stands")
			p.before(*u)
			a.write(&p)
			return errBack
		case err == nil:
			return nil
		}
		a.say("NOT SAVED: %v", err)
		if _, err := a.line(ctx, "Enter tries again, < gives this answer up"); err != nil {
			return err
		}
	}
}

func numberOf(n int, what string) string { return plural(n, what, what+"s") }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// reviewSecrets are the dossier's secrets that are long enough to be told from other words.
func reviewSecrets(d *dossier.Dossier) []string {
	const shortest = 4
	if d.Withheld {
		return nil
	}
	var out []string
	add := func(s dossier.Secret) {
		if len(s.Reveal()) >= shortest {
			out = append(out, s.Reveal())
		}
	}
	for _, u := range d.Units {
		for _, l := range u.Logins {
			add(l.Password)
		}
	}
	if d.Cloud != nil {
		add(d.Cloud.Key)
	}
	return out
}
