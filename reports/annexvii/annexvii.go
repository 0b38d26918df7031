// Package annexvii drafts the technical documentation of Annex VII of the Cyber Resilience Act, Regulation
// (EU) 2024/2847, and the EU declaration of conformity of its Annex V, as far as a record can fill them: software
// versions, components and update evidence, standards, test reports. All else is left to the manufacturer by
// name. It never writes what nobody declared, and it declares nothing.
package annexvii

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"assay/profiles/dossier"
	"assay/reports"
	"assay/reports/markdown"
	"assay/reports/verdict"
)

// CRA is the id of the regulation's requirements among the standards.
const CRA = "eu-cra"

// todo is said of what only the manufacturer can write.
const todo = "_To be written by the manufacturer: %s._\n\n"

type writer struct {
	bytes.Buffer
	r *reports.Report
	d *dossier.Dossier
}

// Write renders both drafts as Markdown.
func Write(w io.Writer, r *reports.Report) error {
	x := &writer{r: r, d: r.Dossier}
	if x.d == nil {
		x.d = &dossier.Dossier{}
	}
	x.printf("# DRAFT: technical documentation, Annex VII of Regulation (EU) 2024/2847\n\nFilled from test report %s as far as its record goes. Nothing here is a statement of the manufacturer.\n\n", r.Run)
	x.general()
	x.design()
	x.section("3. Cybersecurity risk assessment")
	x.todo("the risk assessment, and how each point of Annex I Part I applies")
	x.section("4. Support period")
	x.todo("the information from which the support period was set")
	x.standards()
	x.reports()
	x.section("7. Copy of the EU declaration of conformity")
	x.printf("The draft below. It is to be completed and signed by the manufacturer, and only then a copy.\n\n")
	x.section("8. Software bill of materials, on request of an authority")
	x.todo("the software bill of materials in a machine-readable form; the components of item 2 b are those that the dossier declares")
	x.declaration()
	x.section("Limits of what was filled in")
	for _, l := range r.Limits() {
		x.printf("- %s\n", l)
	}
	if _, err := w.Write(x.Bytes()); err != nil {
		return fmt.Errorf("draft the technical documentation of %s: %w", r.Run, err)
	}
	return nil
}

// printf escapes its arguments, not its format.
func (x *writer) printf(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = markdown.Escape(s)
		}
	}
	fmt.Fprintf(x, format, args...)
}

func (x *writer) section(name string)    { x.printf("## %s\n\n", name) }
func (x *writer) subsection(name string) { x.printf("### %s\n\n", name) }
func (x *writer) todo(what string)       { x.printf(todo, what) }

func (x *writer) general() {
	x.section("1. General description of the product")
	x.subsection("a) Intended purpose")
	x.todo("the intended purpose")
	x.subsection("b) Versions of software that affect compliance")
	rows := [][]string{{"Product as tested", x.r.Device.Item()}}
	if s := x.d.Product.OperatingSystem; dossier.Reasoned(s) {
		rows = append(rows, []string{"Operating system, as declared", s})
	}
	for _, i := range x.d.Images {
		if i.Version != x.r.Device.Firmware { // the others are for attacks and updates
			continue
		}
		rows = append(rows, []string{"Image of version " + i.Version, "SHA-256 " + cmp.Or(i.SHA256, "not recorded")})
	}
	markdown.Table(&x.Buffer, []string{"What", "Version"}, rows)
	x.subsection("c) Photographs or illustrations, for hardware")
	x.todo("outer features, marking and internal layout")
	x.subsection("d) User information and instructions of Annex II")
	x.todo("the information and instructions")
}

// design is item 2: of b, the components, the updates and what the maker says of disclosure.
func (x *writer) design() {
	x.section("2. Design, development, production and handling of vulnerabilities")
	x.subsection("a) Design and development, system architecture")
	x.todo("the description, with drawings and schemes where applicable")
	x.subsection("b) Handling of vulnerabilities")
	x.printf("Software components, as the dossier declares them (IXIT table 6):\n\n")
	x.table("6-SoftComp", "the software bill of materials")
	x.printf("Secure distribution of updates, as the dossier declares it (IXIT table 7):\n\n")
	x.table("7-UpdMech", "the technical solution for the secure distribution of updates")
	x.printf("What the run saw of updates:\n\n")
	x.updates()
	x.printf("Disclosure policy and contact address:\n\n")
	policy := ""
	if x.d.IXIT.UserInfo != nil {
		policy = x.d.IXIT.UserInfo.PublicationOfVulnerabilityDisclosurePolicy
	}
	if dossier.Reasoned(policy) {
		for _, one := range x.d.Declarations([]string{"2-UserInfo"}) { // its secrets are withheld
			for _, s := range one.Says {
				if value, ok := strings.CutPrefix(s, "publication_of_vulnerability_disclosure_policy: "); ok {
					x.printf("- as declared: %s\n\n", value)
				}
			}
		}
	} else {
		x.todo("the coordinated vulnerability disclosure policy, and evidence of a contact address")
	}
	x.subsection("c) Production and monitoring")
	x.todo("the processes of production and monitoring and their validation")
}

// table prints a declared table; one that was not filled in is left to the manufacturer.
func (x *writer) table(name, otherwise string) {
	var rows [][]string
	for _, one := range x.d.Declarations([]string{name}) {
		var says []string
		for _, s := range one.Says {
			if _, value, _ := strings.Cut(s, ": "); dossier.Reasoned(value) {
				says = append(says, s)
			}
		}
		description := one.Description
		if !dossier.Reasoned(description) {
			description = ""
		}
		if description != "" || len(says) > 0 {
			rows = append(rows, []string{one.Address, description, strings.Join(says, "; ")})
		}
	}
	if len(rows) == 0 {
		x.todo(otherwise)
		return
	}
	markdown.Table(&x.Buffer, []string{"Row", "Description", "Further fields"}, rows)
}

// updates are the checks that compare the table of update mechanisms.
func (x *writer) updates() {
	var rows [][]string
	seen := map[string]bool{}
	for _, p := range x.r.Profiles {
		for _, q := range p.Requirements {
			for _, c := range q.Checks {
				if seen[c.ID] || !strings.HasPrefix(c.ID, "update/") {
					continue
				}
				seen[c.ID] = true
				v := reports.Closed(c.Verdict)
				rows = append(rows, []string{c.ID, reports.Sign(v) + " " + string(v), c.Reason, x.r.Frame(c.Observation)})
			}
		}
	}
	if len(rows) == 0 {
		x.printf("Nothing: the profile asks nothing about updates.\n\n")
		return
	}
	markdown.Table(&x.Buffer, []string{"Check", "Verdict", "Reason", "Evidence"}, rows)
}

// standards is item 5. That a specification was tested against is no claim that it was applied in full.
func (x *writer) standards() {
	x.section("5. Standards, specifications and certification schemes applied")
	x.printf("The record shows which specifications the product was tested against. Whether they were applied in full or in part, and what was done where they were not, is the manufacturer's to say.\n\n")
	var rows [][]string
	for _, p := range x.r.Profiles {
		for _, g := range reports.ByStandard(p) {
			var facts []string
			for _, f := range g.Presumption() {
				facts = append(facts, f.Says+" (as of "+f.AsOf+")")
			}
			rows = append(rows, []string{cmp.Or(g.Title, g.ID), strings.TrimSpace(g.Edition + " " + g.Tests), fmt.Sprintf("%d requirements", len(g.Requirements)), cmp.Or(strings.Join(facts, "; "), "nothing on record")})
		}
	}
	if len(rows) > 0 {
		markdown.Table(&x.Buffer, []string{"Specification", "Edition", "Tested", "Presumption of conformity"}, rows)
	}
	x.todo("harmonised standards, common specifications and certification schemes applied, in full or in part, and the other solutions")
}

func (x *writer) reports() {
	x.section("6. Reports of tests")
	var rows [][]string
	for _, p := range x.r.Profiles {
		rows = append(rows, []string{x.r.Run, x.r.Started.UTC().Format("2006-01-02"), p.ID + " " + p.Version + ": " + p.Title, cmp.Or(string(p.Conformity), string(verdict.Incomplete)) + ": " + reports.Count(p), cmp.Or(p.Omitted.String(), "nothing")})
	}
	markdown.Table(&x.Buffer, []string{"Report", "Date", "Profile", "Result", "Left out"}, rows)
	var units []string
	for _, u := range x.r.Specimens() {
		units = append(units, u.ID+", serial "+cmp.Or(u.Serial, "not recorded"))
	}
	x.printf("Product: %s. Unit: %s. Tool: %s. Journal head: %s. Amended through: %s.\n\n", x.r.Device.Item(), strings.Join(units, "; "), x.r.Tested(), cmp.Or(x.r.Head, "not recorded"), x.r.Through.String())
	for _, words := range x.r.Warnings() {
		x.printf("- %s\n", words)
	}
	x.printf("\n")
}

// declaration is the draft by Annex V. What must be in it and is not at hand is named at its end.
func (x *writer) declaration() {
	p := x.d.Product
	var missing []string
	given := func(what, value string) string {
		if dossier.Reasoned(value) {
			return value
		}
		missing = append(missing, what)
		return "to be written by the manufacturer"
	}
	x.printf("# DRAFT: EU declaration of conformity, Annex V of Regulation (EU) 2024/2847\n\n**DRAFT. Not a declaration: nobody has made or signed it.**\n\n")
	var units []string
	for _, u := range x.r.Specimens() {
		units = append(units, cmp.Or(u.Serial, u.ID))
	}
	x.printf("1. Name, type and identification of the product: %s %s, firmware %s; unit tested: %s\n", given("the manufacturer's name", x.r.Device.Manufacturer), given("the product's type", x.r.Device.Model), given("the firmware's version", x.r.Device.Firmware), strings.Join(units, ", "))
	x.printf("2. Name and address of the manufacturer or its authorised representative: %s, %s\n", cmp.Or(x.r.Device.Manufacturer, "to be written by the manufacturer"), given("the manufacturer's address", p.Address))
	x.printf("3. Under whose sole responsibility it is issued: to be stated by the manufacturer\n")
	x.printf("4. Object of the declaration: %s\n", given("a description of the object that lets it be traced", p.Description))
	x.printf("5. Conformity with Union harmonisation legislation: to be stated by the manufacturer. %s\n", x.support())
	x.printf("6. Harmonised standards, common specifications or certification on which it rests: to be written by the manufacturer (see item 5 above)\n")
	x.printf("7. Notified body, procedure and certificate, where applicable: to be written by the manufacturer\n")
	x.printf("8. Further information; place and date; name, function, signature: to be written by the manufacturer\n\n")
	missing = append(missing, "the statement of sole responsibility", "the statement of conformity", "the standards that it rests on", "the procedure, and the notified body where there is one", "place, date, name, function and signature")
	x.printf("Missing before this is a declaration:\n\n")
	for _, m := range missing {
		x.printf("- %s\n", m)
	}
	x.printf("\n")
}

// support tells what the record says about the regulation's own requirements: mostly that it does not bear a statement.
func (x *writer) support() string {
	asked := false
	for _, p := range x.r.Profiles {
		if !slices.ContainsFunc(p.Requirements, func(q verdict.Requirement) bool { return q.Standard == CRA }) {
			continue
		}
		asked = true
		if p.Conformity != verdict.Conformant || !p.Omitted.None() {
			return "This record does not bear such a statement: by profile " + p.ID + " the product is " + cmp.Or(string(p.Conformity), string(verdict.Incomplete)) + ", and only the whole would do."
		}
		if slices.ContainsFunc(p.Requirements, func(q verdict.Requirement) bool {
			v := reports.Closed(q.Verdict)
			return v != verdict.Pass && v != verdict.NotApplicable
		}) {
			return "This record does not bear such a statement: something in it did not pass."
		}
	}
	if !asked {
		return "This record does not bear such a statement: it was not judged by the requirements of Regulation (EU) 2024/2847 (profile eu-cra)."
	}
	return "The record found nothing that speaks against it by profile eu-cra; that is one of the manufacturer's grounds and not the statement."
}
