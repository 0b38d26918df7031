// Package oscal writes a report as OSCAL assessment-results 1.2 for assessors and their tools: a finding
// for every requirement that applies, an observation for every check and every review. OSCAL knows satisfied
// and not satisfied only; what is inconclusive is not satisfied, for a reason other than failing, and what
// does not apply is left out of the reviewed controls by name.
package oscal

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"

	"assay/profiles"
	"assay/reports"
	"assay/reports/verdict"
)

const (
	version = "1.2.2"
	ns      = "https://assay.example/ns/oscal" // a host that RFC 2606 reserves: it can never mean anything else
	most    = 2000
)

// A writer makes one document. Its names follow from the record and the verdicts alone.
type writer struct {
	r         *reports.Report
	names     reports.Names
	resources []resource
	href      map[string]string // artefact -> its resource
	parties   []party
	person    map[string]string // name -> party
}

// Write renders the report: one result for each profile.
func Write(w io.Writer, r *reports.Report) error {
	names, err := r.Names()
	if err != nil {
		return err
	}
	x := &writer{r: r, names: names, href: map[string]string{}, person: map[string]string{}}
	x.files()
	if r.Device.Manufacturer != "" {
		x.party("organization", r.Device.Manufacturer)
	}
	if r.Lab != nil {
		x.party("organization", r.Lab.Name)
	}
	if r.Operator != "" {
		x.party("person", r.Operator)
	}
	a := assessment{UUID: names.UUID("oscal"), ImportAP: href{"#" + x.plan()}}
	for _, p := range r.Profiles {
		a.Results = append(a.Results, x.result(p))
	}
	if len(a.Results) == 0 {
		a.Results = append(a.Results, x.result(verdict.Result{Conformity: verdict.Incomplete, Reason: "no profile was judged"}))
	}
	a.Metadata = metadata{Title: text("Test report " + r.Run + ": " + r.Device.Item()), Modified: stamp(r.Said()), Version: text(r.Run), OSCAL: version,
		Props: []prop{property("tool", r.Tested()), property("sealed", fmt.Sprint(r.Sealed)), property("amended-through", r.Through.String())}, Parties: x.parties, Remarks: strings.Join(append(r.Warnings(), r.Limits()...), " ")}
	if r.Head != "" {
		a.Metadata.Props = append(a.Metadata.Props, property("journal-head", r.Head))
	}
	a.Metadata.Remarks = reports.Plain(a.Metadata.Remarks)
	a.Back = &backMatter{x.resources}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(document{a}); err != nil {
		return fmt.Errorf("write report %s as OSCAL: %w", r.Run, err)
	}
	return nil
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// files are the artefacts of the evidence, by digest.
func (x *writer) files() {
	for _, a := range x.r.Artefacts {
		id := x.names.UUID("resource", a.Name)
		x.href[a.Name] = "#" + id
		one := resource{UUID: id, Title: text(a.Name)}
		if digest.MatchString(a.SHA256) {
			one.Links = []rlink{{Href: "files/" + a.SHA256, Type: mediaType(a.MediaType), Hashes: []hash{{"SHA-256", a.SHA256}}}}
		}
		x.resources = append(x.resources, one)
	}
}

var media = regexp.MustCompile(`^[a-z]+/[A-Za-z0-9.+-]+$`)

func mediaType(s string) string {
	if media.MatchString(s) {
		return s
	}
	return ""
}

// plan is the resource that stands for the assessment plan: there is no OSCAL one, the profile is in the evidence.
func (x *writer) plan() string {
	id := x.names.UUID("resource", "plan")
	x.resources = append(x.resources, resource{UUID: id, Title: "Assessment plan", Description: "The dossier, the profile and the plan as they were used are part of the sealed evidence. There is no assessment plan in OSCAL."})
	return id
}

func (x *writer) party(kind, name string) string {
	if id := x.person[name]; id != "" {
		return id
	}
	id := x.names.UUID("party", name)
	x.person[name] = id
	x.parties = append(x.parties, party{id, kind, text(name)})
	return id
}

func (x *writer) result(p verdict.Result) result {
	r := x.r
	unit, tool := x.names.UUID("unit"), x.names.UUID("tool")
	out := result{UUID: x.names.UUID("result", p.ID), Title: text("Profile " + p.ID + ", version " + p.Version + ": " + p.Title), Description: text(string(p.Conformity) + ": " + p.Reason), Start: stamp(r.Started),
		Props: []prop{property("conformity", string(p.Conformity)), property("judged", p.Judged), property("outcome", string(r.Outcome))}}
	if r.Ended != nil {
		out.End = stamp(*r.Ended)
	}
	if left := p.Omitted.String(); left != "" {
		out.Remarks = text(left + "; " + reports.PartOnly)
	}
	title := text(r.Tested())
	var ids, serials []string
	for _, u := range r.Specimens() {
		ids, serials = append(ids, u.ID), append(serials, u.Serial)
	}
	out.Local = &local{
		Items: []item{{unit, text("Unit " + strings.Join(ids, ", ") + " of " + r.Device.Item()), []prop{property("serial", strings.Trim(strings.Join(serials, ", "), ", ")), property("firmware", r.Device.Firmware)}}},
		Assets: assets{
			Components: []component{{tool, "software", title, text("The lab runner that asked the device. SHA-256 " + r.Tool.SHA256), state{State: "operational"}}},
			Platforms:  []platform{{x.names.UUID("bench"), "Bench", []usedComponent{{tool}}}},
		},
	}
	at := map[string]string{} // check or review -> observation
	selected := selection{Description: text("Profile " + p.ID + ", version " + p.Version)}
	var outside []string
	for _, q := range p.Requirements {
		if reports.Closed(q.Verdict) == verdict.NotApplicable {
			selected.Exclude = append(selected.Exclude, control{token(reports.Address(q))})
			outside = append(outside, q.ID+": "+q.Reason)
			continue
		}
		selected.Include = append(selected.Include, control{token(reports.Address(q))})
		f := x.finding(p, q)
		for _, o := range x.observations(p, q, unit, tool) {
			if at[o.UUID] == "" {
				at[o.UUID] = o.UUID
				out.Observations = append(out.Observations, o)
			}
			f.Observations = append(f.Observations, related{o.UUID})
		}
		out.Findings = append(out.Findings, f)
	}
	for _, t := range r.Provings() {
		out.Observations = append(out.Observations, x.proving(p, t, tool))
	}
	if len(selected.Include) == 0 {
		selected.All = &struct{}{}
	}
	if len(outside) > 0 {
		selected.Remarks = reports.Clip("Not applicable: "+strings.Join(outside, "; "), 20000)
	}
	out.Reviewed = reviewed{[]selection{selected}}
	return out
}

// finding is a requirement's verdict in OSCAL's two words.
func (x *writer) finding(p verdict.Result, q verdict.Requirement) finding {
	v := reports.Closed(q.Verdict)
	f := finding{UUID: x.names.UUID("finding", p.ID, reports.Address(q)), Title: text(q.ID + " " + q.Title), Description: text(q.Reason),
		Props:  []prop{property("verdict", string(v)), property("standard", q.Standard), property("edition", q.Edition), property("level", q.Level), property("certainty", q.Certainty)},
		Target: target{Type: "objective-id", ID: token(reports.Address(q)), Status: state{"not-satisfied", "other"}}}
	switch v {
	case verdict.Pass:
		f.Target.Status = state{"satisfied", "pass"}
	case verdict.Fail:
		f.Target.Status = state{"not-satisfied", "fail"}
	}
	var remarks []string
	for _, l := range q.Restrictions {
		remarks = append(remarks, l.ID+": "+reports.Limit{Restriction: l}.Words())
	}
	for _, w := range p.Waivers {
		if w.Requirement == reports.Address(q) {
			f.Props = append(f.Props, property("waiver", map[bool]string{true: "counts", false: "does not count"}[w.Counts]+": "+w.Reason))
		}
	}
	f.Remarks = reports.Clip(strings.Join(remarks, " "), most)
	return f
}

// method is how an evidence class was gathered, in OSCAL's words.
func method(c profiles.Class) string {
	switch c {
	case profiles.Observation:
		return "TEST"
	case profiles.Document:
		return "EXAMINE"
	case profiles.Attestation:
		return "INTERVIEW"
	}
	return "UNKNOWN"
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// text is a string that OSCAL takes: something, without space at its ends.
func text(s string) string {
	if s = strings.TrimSpace(reports.Clip(s, most)); s != "" {
		return s
	}
	return "not recorded"
}

func property(name, value string) prop { return prop{name, ns, text(value)} }

// token makes an identifier of OSCAL's form; ids of standards keep their look.
func token(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || c == '.' || c == '-' || c == '_' {
			return c
		}
		return '_'
	}, strings.ToValidUTF8(s, "_"))
	if first := []rune(s); len(first) == 0 || !unicode.IsLetter(first[0]) {
		s = "_" + s
	}
	return s
}

// capture is where an observation's frames are.
func (x *writer) capture(id string) []evidence {
	for _, o := range x.r.Observations {
		if o.ID == id && o.Frames != nil {
			return []evidence{{x.link(o.Frames.File), text(x.r.Frame(id))}}
		}
	}
	return nil
}

func (x *writer) link(name string) string {
	if h := x.href[name]; h != "" {
		return h
	}
	return "#" + x.names.UUID("resource", "plan")
}
