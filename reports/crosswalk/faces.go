package crosswalk

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"text/tabwriter"

	"assay/reports"
	"assay/reports/verdict"
)

//go:embed page.tmpl
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"sign": sign, "class": class, "none": noStatement,
	"class2": func(c verdict.Conformity) string { return strings.Fields(string(c))[0] },
}).Parse(pageText))

// HTML writes the table as one page without scripts.
func (t *Table) HTML(w io.Writer) error {
	return reports.Plainly(w, func(w io.Writer) error { return page.Execute(w, t) })
}

// noStatement says why a standard has no statement here.
func noStatement(id string) string {
	if id == "eu-csa" {
		return "by its levels: csa-basic, csa-substantial, csa-high"
	}
	return "ids to refer to"
}

// sign is a verdict as one character; a dot where nobody asks.
func sign(v verdict.Verdict) string {
	if v == "" {
		return "·"
	}
	return reports.Sign(v)
}

func class(v verdict.Verdict) string {
	switch v {
	case "":
		return "none"
	case verdict.NotApplicable:
		return "na"
	}
	return string(v)
}

// Text writes the table for a terminal.
func (t *Table) Text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(tw, "%s, run %s, beside every scheme\n\n", reports.Plain(t.Device), reports.Plain(t.Run))
	fmt.Fprintf(tw, "SCHEME\tEDITION\tSTATEMENT\tPASS\tFAIL\tOPEN\tN/A\n")
	for _, s := range t.Schemes {
		statement := string(s.Conformity)
		if statement == "" {
			statement = "(" + noStatement(s.ID) + ")"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", s.ID, s.Edition, statement, s.Pass, s.Fail, s.Open, s.Spared)
	}
	columns := t.Columns()
	fmt.Fprintf(tw, "\n\t")
	for _, c := range columns {
		fmt.Fprintf(tw, "\t%s", strings.ToUpper(c))
	}
	fmt.Fprintln(tw)
	for _, r := range t.Rows {
		fmt.Fprintf(tw, "%s %s\t%s", sign(r.Verdict), r.ID, r.Closeness)
		for _, c := range columns {
			var cells []string
			for _, one := range r.In(c) {
				cells = append(cells, sign(one.Verdict)+" "+one.ID)
			}
			fmt.Fprintf(tw, "\t%s", strings.Join(cells, ", "))
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if len(t.Unlinked) > 0 {
		fmt.Fprintf(w, "\nRequirements without a row of their own:\n")
		last := ""
		for _, c := range t.Unlinked {
			if c.Standard != last {
				if last != "" {
					fmt.Fprintln(w)
				}
				fmt.Fprintf(w, "  %s:", c.Standard)
				last = c.Standard
			}
			fmt.Fprintf(w, " %s %s;", sign(c.Verdict), c.ID)
		}
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintf(w, "\n✓ pass  ✗ fail  ? inconclusive  – not applicable  · not asked by the scheme's profile\nThe links are %s: %s\nEach verdict is its own scheme's; none is taken over from another.\n", t.Certainty, t.Basis)
	return err
}
