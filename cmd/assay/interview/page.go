package interview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/review"
)

// pageWidth is what every terminal has.
const pageWidth = 78

// A page is what is shown of a unit, as text of a width; the zero width is that of every terminal.
type page struct {
	strings.Builder
	width int
}

// put writes a paragraph: first stands before its first line, the others go in as far.
func (p *page) put(first, text string) {
	line, width := first, cmp.Or(p.width, pageWidth)
	for _, word := range strings.Fields(Clean(text)) {
		n := len([]rune(line)) + 1 + len([]rune(word))
		if n > width && strings.TrimSpace(line) != "" && len([]rune(line)) > len([]rune(first)) {
			p.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.Repeat(" ", len([]rune(first)))
		}
		if !strings.HasSuffix(line, " ") && line != "" {
			line += " "
		}
		line += word
	}
	p.WriteString(strings.TrimRight(line, " ") + "\n")
}

// Clean keeps what files say from moving a terminal's cursor.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// standard shows what a whole standard brings with it.
func (p *page) standard(s *profiles.Standard) {
	p.WriteString(strings.Repeat("=", pageWidth) + "\n")
	p.put("", fmt.Sprintf("%s, edition %s: %s", s.ID, s.Edition, s.Title))
	for _, x := range s.Restrictions {
		if !slices.ContainsFunc(s.Requirements, func(r profiles.Requirement) bool { return slices.Contains(r.Restrictions, x.ID) }) {
			p.restriction(x)
		}
	}
}

func (p *page) restriction(x profiles.Restriction) {
	p.put("  ! ", strings.TrimSpace(fmt.Sprintf("restriction %s (%s): %s %s", x.ID, x.Certainty, x.Effect, x.Consequence)))
}

// requirement shows a requirement and what limits it.
func (p *page) requirement(r profiles.Required) {
	p.WriteString(strings.Repeat("-", pageWidth) + "\n")
	p.put(r.ID+"  ", r.Title)
	facts := r.Level
	if r.Status != "" {
		facts += ", " + r.Status
	}
	if r.Certainty != "verified" {
		facts += ", " + r.Certainty
	}
	p.put("  ", facts)
	if r.Condition != "" {
		p.put("  applies: ", r.Condition)
	}
	for _, x := range restrictionsOf(r) {
		p.restriction(x)
	}
}

// restrictionsOf are those that the requirement names.
func restrictionsOf(r profiles.Required) []profiles.Restriction {
	var out []profiles.Restriction
	for _, x := range r.Standard.Restrictions {
		if slices.Contains(r.Restrictions, x.ID) {
			out = append(out, x)
		}
	}
	return out
}

// testCase shows a case and the rows of the dossier that it compares, with their numbers.
func (p *page) testCase(c profiles.Case, rows []dossier.Declaration) {
	p.put("  case ", c.ID+", "+c.Kind)
	if c.Needs != "" {
		p.put("  needs: ", c.Needs)
	}
	p.rows(c, rows, false)
}

// rows shows declared rows; whole: with all that they say.
func (p *page) rows(c profiles.Case, rows []dossier.Declaration, whole bool) {
	for _, table := range c.IXIT {
		if !slices.ContainsFunc(rows, func(r dossier.Declaration) bool { return r.Table == table }) {
			p.put("  ", "declared in "+table+": nothing")
		}
	}
	for i, r := range rows {
		if i == 0 {
			p.put("  ", "declared:")
		}
		first := fmt.Sprintf("  %3d ", i+1)
		p.put(first, r.Address+"  "+r.Description)
		if !whole && r.Description == "" {
			p.put("      ", fmt.Sprintf("(says %d things: d shows them)", len(r.Says)))
		}
		if whole {
			for _, s := range r.Says {
				key, text, _ := strings.Cut(s, ": ")
				p.put("        "+key+": ", text)
			}
		}
	}
}

// unit shows the question, and what was said to it before.
func (p *page) unit(u review.Unit, n, of int) {
	p.WriteString("\n")
	name := "unit " + u.Short()
	if u.Unit.Category != "" {
		name += ", category " + u.Unit.Category
	}
	p.put(fmt.Sprintf("[%d of %d] ", n, of), name)
	p.put("  ", u.Unit.Asks)
	p.put("  rests on: ", classWords(u.Unit.Review))
	if len(u.Unit.Checks) > 0 {
		p.put("  also asked by checks: ", strings.Join(u.Unit.Checks, ", "))
	}
	if len(u.Case.Tree) > 0 {
		p.put("  decision tree: ", fmt.Sprintf("%d questions, walked for each item; %s", len(u.Case.Tree), sumWords(u.Case.Verdicts)))
	}
	p.before(u)
}

// before shows what was answered before.
func (p *page) before(u review.Unit) {
	if u.Said == nil {
		return
	}
	text := fmt.Sprintf("%s, says %s on %s: %s", u.Said.Answer, u.Said.By.Name, u.Said.Date, u.Said.Statement)
	if u.Lacks != "" && u.Said.Answer != review.Open {
		text += " [does not count: " + u.Lacks + "]"
	}
	p.put("  answered before: ", text)
}

func classWords(c profiles.Class) string {
	if c == profiles.Attestation {
		return "attestation: you did it with the device, or looked at it"
	}
	return "document: you read rows of the dossier or documents, and name them"
}

func sumWords(verdicts string) string {
	if verdicts == "B" {
		return "met if every item passes"
	}
	return "met if an item passes and none fails"
}

// About gives the comments of a file of reviews: the question of each unit, of any standard that is known.
func About(set *profiles.Set, standards []*profiles.Standard) func(unit string) []string {
	lines := map[string][]string{}
	add := func(s *profiles.Standard, r profiles.Requirement, c profiles.Case, u profiles.Unit) {
		p := page{width: 108}
		p.put("", fmt.Sprintf("%s %s [%s]", r.ID, r.Title, r.Level))
		kind := c.Kind
		if u.Category != "" {
			kind += ", category " + u.Category
		}
		p.put("", fmt.Sprintf("%s.%s (%s, %s): %s", c.ID, u.ID, kind, u.Review, u.Asks))
		for _, n := range c.Tree {
			p.put("  ", fmt.Sprintf("%s %s yes: %s, no: %s", n.ID, n.Asks, n.Yes, n.No))
		}
		lines[profiles.UnitAddress(s.ID, c.ID, u.ID)] = strings.Split(strings.TrimSuffix(p.String(), "\n"), "\n")
	}
	for _, s := range standards {
		for _, r := range s.Requirements {
			for _, c := range r.Cases {
				for _, u := range c.Units {
					add(s, r, c, u)
				}
			}
		}
	}
	for _, w := range set.Wanted() {
		add(w.Requirement.Standard, w.Requirement.Requirement, w.Case, w.Unit)
	}
	return func(unit string) []string { return lines[unit] }
}
