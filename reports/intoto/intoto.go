// Package intoto writes a report as an in-toto Statement with the predicate test-result v0.1, for policy
// engines and whoever follows a supply chain. It is not signed here: sign it as any Statement. The
// predicate has no word for what is open: that warns, and nothing that warns is PASSED.
package intoto

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"

	"assay/lab/evidence"
	"assay/reports"
	"assay/reports/verdict"
)

// PredicateType names the predicate.
const PredicateType = "https://in-toto.io/attestation/test-result/v0.1"

type (
	statement struct {
		Type          string             `json:"_type"`
		Subject       []evidence.Subject `json:"subject"`
		PredicateType string             `json:"predicateType"`
		Predicate     predicate          `json:"predicate"`
	}
	predicate struct {
		Result        string       `json:"result"`
		Configuration []descriptor `json:"configuration"`
		Passed        []string     `json:"passedTests"`
		Warned        []string     `json:"warnedTests"`
		Failed        []string     `json:"failedTests"`
	}
	descriptor struct {
		Name        string            `json:"name"`
		Digest      map[string]string `json:"digest,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
	}
)

// The predicate's three results.
const (
	passed = "PASSED"
	warned = "WARNED"
	failed = "FAILED"
)

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Write renders the report.
func Write(w io.Writer, r *reports.Report) error {
	s := statement{Type: evidence.StatementType, PredicateType: PredicateType, Predicate: predicate{Result: result(r), Configuration: configuration(r), Passed: []string{}, Warned: []string{}, Failed: []string{}}}
	var err error
	if s.Subject, err = subjects(r); err != nil {
		return err
	}
	for _, p := range r.Profiles {
		for _, q := range p.Requirements {
			name := reports.Clip(p.ID+"/"+reports.Address(q), 300)
			switch reports.Closed(q.Verdict) {
			case verdict.Pass:
				s.Predicate.Passed = append(s.Predicate.Passed, name)
			case verdict.Fail:
				s.Predicate.Failed = append(s.Predicate.Failed, name)
			case verdict.Inconclusive:
				s.Predicate.Warned = append(s.Predicate.Warned, name)
			case verdict.NotApplicable: // no test was due; configuration counts it
			}
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("write report %s as an in-toto statement: %w", r.Run, err)
	}
	return nil
}

// result is PASSED only where every profile is conformant without a waiver, the run came to its end and
// nothing is open: a policy must be able to rely on the one word.
func result(r *reports.Report) string {
	out := passed
	if len(r.Profiles) == 0 || r.Outcome != "finished" {
		out = warned
	}
	for _, p := range r.Profiles {
		if p.Conformity == verdict.NonConformant {
			return failed
		}
		if p.Conformity != verdict.Conformant || len(p.Requirements) == 0 {
			out = warned
		}
		for _, q := range p.Requirements {
			if v := reports.Closed(q.Verdict); v != verdict.Pass && v != verdict.NotApplicable {
				out = warned
			}
		}
	}
	return out
}

// subjects are what the statement is about, by digest: the record, and the images that the dossier names by theirs.
func subjects(r *reports.Report) ([]evidence.Subject, error) {
	var out []evidence.Subject
	if digest.MatchString(r.Head) {
		out = append(out, evidence.Subject{Name: "journal-head", Digest: map[string]string{"sha256": r.Head}})
	} else {
		names, err := r.Names()
		if err != nil {
			return nil, err
		}
		// A subject must have a digest: without a record, that of what was judged.
		out = append(out, evidence.Subject{Name: "verdicts", Digest: map[string]string{"sha256": names.Digest()}})
	}
	if r.Dossier == nil {
		return out, nil
	}
	for _, i := range r.Dossier.Images {
		if i.Version == r.Device.Firmware && digest.MatchString(i.SHA256) {
			out = append(out, evidence.Subject{Name: reports.Clip("firmware "+i.Version, 200), Digest: map[string]string{"sha256": i.SHA256}})
		}
	}
	return out, nil
}

// configuration is what was tested by what: the tool, and each profile with its counts.
func configuration(r *reports.Report) []descriptor {
	tool := descriptor{Name: "assay", Annotations: map[string]string{"version": reports.Plain(r.Tool.Version), "run": reports.Plain(r.Run), "device": reports.Plain(r.Device.Item()), "outcome": reports.Plain(string(r.Outcome)), "bench": reports.Clip(r.Proven(), 2000), "amended_through": reports.Plain(r.Through.String())}}
	if digest.MatchString(r.Tool.SHA256) {
		tool.Digest = map[string]string{"sha256": r.Tool.SHA256}
	}
	out := []descriptor{tool}
	for _, p := range r.Profiles {
		out = append(out, descriptor{Name: reports.Clip("profile "+p.ID, 200), Annotations: map[string]string{"version": reports.Plain(p.Version), "conformity": reports.Plain(string(p.Conformity)),
			"reason": reports.Clip(p.Reason, 2000), "judged": reports.Plain(p.Judged), "verdicts": reports.Count(p), "left_out": reports.Clip(p.Omitted.String(), 2000)}})
	}
	return out
}
