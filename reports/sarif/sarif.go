// Package sarif writes a report as SARIF 2.1.0 for code hosts and defect trackers: a rule and a result
// for every requirement, whatever its verdict. Only a pass has kind pass; what is open says open or, where
// it waits for a person, review.
package sarif

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"assay/lab"
	"assay/profiles"
	"assay/reports"
	"assay/reports/verdict"
)

const (
	schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	most   = 2000 // characters of one message
)

// Write renders the report: one SARIF run for each profile.
func Write(w io.Writer, r *reports.Report) error {
	names, err := r.Names()
	if err != nil {
		return err
	}
	l := log{Schema: schema, Version: "2.1.0", Runs: []run{}}
	for _, p := range r.Profiles {
		l.Runs = append(l.Runs, runOf(r, p, names))
	}
	if len(l.Runs) == 0 { // a log without a run would read as: nothing was found
		l.Runs = append(l.Runs, runOf(r, verdict.Result{Reason: "no profile was judged"}, names))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(l); err != nil {
		return fmt.Errorf("write report %s as SARIF: %w", r.Run, err)
	}
	return nil
}

func runOf(r *reports.Report, p verdict.Result, names reports.Names) run {
	out := run{
		Tool:       tool{driver{Name: "assay", Version: plain(r.Tool.Version), Rules: []rule{}}},
		Automation: automation{ID: plain("assay/" + p.ID + "/" + r.Run), GUID: names.UUID("sarif", p.ID)},
		Artifacts:  artifacts(r), Results: []result{},
		Properties: map[string]any{"conformity": plain(string(p.Conformity)), "reason": plain(p.Reason), "profile": plain(p.ID), "profileVersion": plain(p.Version),
			"device": plain(r.Device.Item()), "bench": plain(r.Proven()), "amendedThrough": plain(r.Through.String()), "limits": r.Limits()},
	}
	out.Invocations = []invocation{{Successful: r.Outcome == lab.Finished, Start: stamp(r.Started), End: ended(r)}}
	for _, words := range r.Warnings() {
		out.Invocations[0].Notes = append(out.Invocations[0].Notes, notification{Level: "warning", Message: message{plain(words)}})
	}
	for i, q := range p.Requirements {
		out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, ruleOf(q))
		out.Results = append(out.Results, resultOf(r, p, q, i))
	}
	return out
}

// ruleOf is a requirement: what it asks, and how what failed is mended.
func ruleOf(q verdict.Requirement) rule {
	help := []string{}
	for _, c := range q.Checks {
		if c.Remedy != "" && !slices.Contains(help, c.Remedy) {
			help = append(help, c.Remedy)
		}
	}
	if len(help) == 0 {
		help = append(help, "Hold the declaration, the documents and the device against "+q.Standard+" "+q.ID+".")
	}
	full := q.Title + "."
	if q.Condition != "" {
		full += " Applies where: " + q.Condition + "."
	}
	return rule{ID: plain(reports.Address(q)), Name: plain(q.ID), Short: message{plain(q.Title)}, Full: message{plain(full)}, Help: message{plain(strings.Join(help, " "))},
		Configuration: configuration{level(q.Level)},
		Properties:    map[string]any{"standard": plain(q.Standard), "edition": plain(q.Edition), "level": plain(q.Level), "certainty": plain(q.Certainty), "tags": []string{"security", plain(q.Standard)}}}
}

func level(of string) string {
	if of == profiles.Mandatory {
		return "error"
	}
	return "warning"
}

func resultOf(r *reports.Report, p verdict.Result, q verdict.Requirement, index int) result {
	v := reports.Closed(q.Verdict)
	out := result{Rule: plain(reports.Address(q)), Index: index, Level: "none", Message: message{plain(string(v) + ": " + q.Reason)},
		Prints:     map[string]string{"assayRequirement/v1": plain(p.ID + "/" + reports.Address(q))},
		Properties: map[string]any{"verdict": string(v), "checks": checks(q)}}
	switch v {
	case verdict.Pass:
		out.Kind = "pass"
	case verdict.Fail:
		out.Kind, out.Level = "fail", level(q.Level)
	case verdict.NotApplicable:
		out.Kind = "notApplicable"
	default:
		out.Kind = "open"
		if len(reports.NoReview(q)) > 0 {
			out.Kind = "review"
		}
	}
	for _, w := range p.Waivers {
		if q.Waived && w.Counts && w.Requirement == reports.Address(q) {
			out.Suppressions = append(out.Suppressions, suppression{"external", "accepted", plain(w.Waiver.Reason)})
		}
	}
	out.Locations = locations(r, q)
	return out
}

func checks(q verdict.Requirement) []map[string]string {
	out := []map[string]string{}
	for _, c := range q.Checks {
		out = append(out, map[string]string{"id": plain(c.ID), "verdict": string(reports.Closed(c.Verdict)), "reason": plain(c.Reason), "observation": plain(c.Observation)})
	}
	return out
}

// locations are the declaration rows that a requirement's checks compare, and where the capture shows what was seen.
func locations(r *reports.Report, q verdict.Requirement) []location {
	var out []location
	seen := map[string]bool{}
	for _, c := range q.Checks {
		for _, row := range c.Rows {
			if !seen[row] {
				seen[row] = true
				out = append(out, location{Physical: physical(r, lab.FileDossier), Logical: []logical{{Name: plain(row), Kind: "declaration"}}})
			}
		}
		for _, o := range r.Observations {
			if o.ID == c.Observation && o.Frames != nil && !seen[o.ID] {
				seen[o.ID] = true
				out = append(out, location{Physical: physical(r, o.Frames.File), Message: &message{plain("observation " + o.ID + ", " + r.Frame(o.ID))}})
			}
		}
	}
	if len(out) == 0 { // code hosts drop a result that is nowhere
		out = append(out, location{Physical: physical(r, lab.FileDossier), Logical: []logical{{Name: plain(reports.Address(q)), Kind: "requirement"}}})
	}
	return out
}

func physical(r *reports.Report, name string) *physicalLocation {
	p := &physicalLocation{Artifact: artifactLocation{URI: uri(name)}}
	for i, a := range r.Artefacts {
		if a.Name == name {
			p.Artifact.Index = &i
		}
	}
	return p
}

func artifacts(r *reports.Report) []artifact {
	var out []artifact
	for _, a := range r.Artefacts {
		out = append(out, artifact{Location: artifactLocation{URI: uri(a.Name)}, Length: a.Size, Type: plain(a.MediaType), Hashes: map[string]string{"sha-256": plain(a.SHA256)}})
	}
	return out
}

// uri is a relative reference to a file of the evidence. Names are our own; what is not is spelled out.
func uri(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func ended(r *reports.Report) string {
	if r.Ended == nil {
		return ""
	}
	return stamp(*r.Ended)
}

func plain(s string) string { return reports.Clip(s, most) }
