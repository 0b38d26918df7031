// Package cyclonedx writes a report as CycloneDX 1.6 attestations for supply-chain tools: the standards
// with their requirements, a claim for each that was settled, the evidence of each claim, and how far
// it conforms. Only a pass has a score of 1; what is open has no claim and no score.
package cyclonedx

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"assay/reports"
	"assay/reports/verdict"
)

const most = 2000

type writer struct {
	r        *reports.Report
	claims   []cdx.Claim
	evidence []cdx.DeclarationEvidence
	have     map[string]bool // evidence that was written
}

// Write renders the report.
func Write(w io.Writer, r *reports.Report) error {
	names, err := r.Names()
	if err != nil {
		return err
	}
	x := &writer{r: r, claims: []cdx.Claim{}, evidence: []cdx.DeclarationEvidence{}, have: map[string]bool{}}
	device := cdx.Component{BOMRef: "device", Type: cdx.ComponentTypeDevice, Name: plain(cmp.Or(r.Device.Model, "unnamed")), Version: plain(r.Device.Firmware)}
	if r.Device.Manufacturer != "" {
		device.Manufacturer = &cdx.OrganizationalEntity{Name: plain(r.Device.Manufacturer)}
	}
	bom := cdx.NewBOM()
	// EncodeVersion would copy the document by gob, which loses a score of 0: the edition is set here instead.
	bom.SpecVersion, bom.JSONSchema = cdx.SpecVersion1_6, "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.SerialNumber = "urn:uuid:" + names.UUID("cyclonedx")
	subject := device
	subject.BOMRef = "product"
	bom.Metadata = &cdx.Metadata{Timestamp: stamp(r.Said()), Component: &subject,
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeApplication, Name: "assay", Version: plain(r.Tool.Version)}}},
		Properties: &[]cdx.Property{{Name: "assay:run", Value: plain(r.Run)}, {Name: "assay:journal-head", Value: plain(r.Head)}, {Name: "assay:sealed", Value: fmt.Sprint(r.Sealed)},
			{Name: "assay:amended-through", Value: plain(r.Through.String())}, {Name: "assay:bench", Value: plain(r.Proven())},
			{Name: "assay:warnings", Value: plain(strings.Join(r.Warnings(), " "))}, {Name: "assay:limits", Value: plain(strings.Join(r.Limits(), " "))}}}
	assessor := cdx.Assessor{BOMRef: "assessor", ThirdParty: true, Organization: &cdx.OrganizationalEntity{Name: plain(assessorName(r))}}
	standards, attestations := []cdx.StandardDefinition{}, []cdx.Attestation{}
	for _, p := range r.Profiles {
		groups := reports.ByStandard(p)
		for _, g := range groups {
			standards = append(standards, x.standard(p, g))
		}
		attestations = append(attestations, x.attestation(p))
	}
	bom.Definitions = &cdx.Definitions{Standards: &standards}
	bom.Declarations = &cdx.Declarations{Assessors: &[]cdx.Assessor{assessor}, Attestations: &attestations, Claims: &x.claims, Evidence: &x.evidence,
		Targets: &cdx.Targets{Components: &[]cdx.Component{device}}}
	if err := cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return fmt.Errorf("write report %s as CycloneDX: %w", r.Run, err)
	}
	return nil
}

// ref names something inside the document.
func ref(kind string, parts ...string) string {
	return plain(kind + ":" + strings.Join(parts, "/"))
}

func (x *writer) standard(p verdict.Result, g reports.Group) cdx.StandardDefinition {
	s := cdx.StandardDefinition{BOMRef: ref("standard", p.ID, g.ID), Name: plain(cmp.Or(g.Title, g.ID)), Version: plain(g.Edition)}
	var limits []string
	for _, l := range g.Limits() {
		limits = append(limits, l.ID+", touching "+l.Touches()+": "+l.Words())
	}
	s.Description = plain(strings.Join(limits, " "))
	list := []cdx.StandardRequirement{}
	for _, q := range g.Requirements {
		properties := []cdx.Property{{Name: "assay:level", Value: plain(q.Level)}, {Name: "assay:verdict", Value: string(reports.Closed(q.Verdict))}}
		list = append(list, cdx.StandardRequirement{BOMRef: requirement(p, q), Identifier: plain(q.ID), Title: plain(q.Title), Properties: &properties})
	}
	s.Requirements = &list
	return s
}

func requirement(p verdict.Result, q verdict.Requirement) string {
	return ref("requirement", p.ID, reports.Address(q))
}

func (x *writer) attestation(p verdict.Result) cdx.Attestation {
	summary := fmt.Sprintf("%s by profile %s, version %s: %s", cmp.Or(string(p.Conformity), string(verdict.Incomplete)), p.ID, p.Version, p.Reason)
	if left := p.Omitted.String(); left != "" {
		summary += "; " + left + "; " + reports.PartOnly
	}
	a := cdx.Attestation{Summary: plain(summary), Assessor: "assessor"}
	var list []cdx.AttestationMap
	for _, q := range p.Requirements {
		list = append(list, x.entry(p, q))
	}
	if len(list) > 0 {
		a.Map = &list
	}
	return a
}

// entry is a requirement's claim, or its counter-claim, and its score.
func (x *writer) entry(p verdict.Result, q verdict.Requirement) cdx.AttestationMap {
	m := cdx.AttestationMap{Requirement: requirement(p, q), Conformance: &cdx.AttestationConformance{Rationale: plain(string(reports.Closed(q.Verdict)) + ": " + q.Reason)}}
	claim := cdx.Claim{BOMRef: ref("claim", p.ID, reports.Address(q)), Target: "device", Reasoning: plain(q.Reason)}
	refs := []cdx.BOMReference{cdx.BOMReference(claim.BOMRef)}
	score := 0.0
	switch reports.Closed(q.Verdict) {
	case verdict.Pass:
		score = 1
		claim.Predicate = plain("The device meets " + q.Standard + " " + q.ID + ".")
		m.Claims, m.Conformance.Score = &refs, &score
	case verdict.Fail:
		claim.Predicate = plain("The device does not meet " + q.Standard + " " + q.ID + ".")
		m.CounterClaims, m.Conformance.Score = &refs, &score
	default:
		return m // nothing is claimed
	}
	speaks, against := x.rests(q)
	if reports.Closed(q.Verdict) == verdict.Fail {
		speaks, against = against, speaks
	}
	claim.Evidence, claim.CounterEvidence = some(speaks), some(against)
	x.claims = append(x.claims, claim)
	return m
}

func some(list []cdx.BOMReference) *[]cdx.BOMReference {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// rests lists the evidence that speaks for a requirement and against it. What says neither is left out.
func (x *writer) rests(q verdict.Requirement) (good, bad []cdx.BOMReference) {
	sort := func(v verdict.Verdict, id string) {
		switch reports.Closed(v) {
		case verdict.Pass:
			good = append(good, cdx.BOMReference(id))
		case verdict.Fail:
			bad = append(bad, cdx.BOMReference(id))
		}
	}
	for _, c := range q.Checks {
		sort(c.Verdict, x.check(c))
	}
	for _, k := range q.Cases {
		for _, u := range k.Units {
			if u.Review != nil && u.Review.Said != nil {
				sort(u.Review.Verdict, x.review(q, k, u))
			}
		}
	}
	return good, bad
}

func (x *writer) check(c verdict.Check) string {
	id := ref("check", c.ID, c.Observation, string(reports.Closed(c.Verdict)))
	if x.have[id] {
		return id
	}
	x.have[id] = true
	e := cdx.DeclarationEvidence{BOMRef: id, PropertyName: plain("assay:check:" + c.ID), Description: plain(string(reports.Closed(c.Verdict)) + ": " + c.Reason), Created: stamp(x.r.Said())}
	for _, o := range x.r.Observations {
		if o.ID != c.Observation {
			continue
		}
		e.Created = stamp(o.End)
		if o.Frames != nil {
			e.Data = &[]cdx.EvidenceData{{Name: plain(x.r.Frame(o.ID)), Contents: x.contents(o.Frames.File)}}
		}
	}
	x.evidence = append(x.evidence, e)
	return id
}

var digest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// contents leads to a file of the evidence, by digest.
func (x *writer) contents(name string) *cdx.EvidenceDataContents {
	for _, a := range x.r.Artefacts {
		if a.Name == name && digest.MatchString(a.SHA256) {
			return &cdx.EvidenceDataContents{URL: "files/" + a.SHA256}
		}
	}
	return nil
}

func (x *writer) review(q verdict.Requirement, k verdict.Case, u verdict.Unit) string {
	id := ref("review", reports.Address(q), k.ID, u.ID)
	if x.have[id] {
		return id
	}
	x.have[id] = true
	said := u.Review.Said
	e := cdx.DeclarationEvidence{BOMRef: id, PropertyName: plain("assay:review:" + k.ID + "." + u.ID), Description: plain(string(said.Answer) + ": " + said.Statement), Created: stamp(x.r.Said()),
		Author: &cdx.OrganizationalContact{Name: plain(said.By.Name)}}
	if date, last, err := said.Days(); err == nil {
		e.Created, e.Expires = stamp(date), stamp(last.Add(24*time.Hour-time.Second))
	}
	x.evidence = append(x.evidence, e)
	return id
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func plain(s string) string { return reports.Clip(s, most) }

// assessorName is the laboratory where it is on record, else the operator.
func assessorName(r *reports.Report) string {
	if r.Lab != nil {
		return r.Lab.Name
	}
	return cmp.Or(r.Operator, "not recorded in the evidence")
}
