package html

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"assay/lab"
	"assay/probes"
	"assay/reports"
	"assay/reports/verdict"
)

// The page's own shapes: words only, nothing left to compute in the template.
type (
	pageView struct {
		Run       string
		Statement string
		Device    reports.Device
		Style     template.CSS
		Profiles  []profileView
		Warnings  []string
		Timeline  template.HTML
		Record    []pair
	}
	profileView struct {
		ID, Version, Title, Conformity, Class, Counts string
		Requirements                                  []requirementView
	}
	requirementView struct {
		ID, Standard, Title, Level, Verdict, Class, Reason, Anchor string
		Checks                                                     []checkView
	}
	checkView struct {
		ID, Verdict, Class, Sign, Anchor, Reason       string
		Asks, Step, Given, Expect, Mend, Row, Evidence string
		More                                           string
		Facts                                          []pair
		Packets                                        []packet
		Open                                           bool
	}
	pair   struct{ Name, Value string }
	packet struct{ Frame, Time, From, To, Protocol, Info string }
)

func view(r *reports.Report) pageView {
	v := pageView{Run: r.Run, Device: r.Device, Style: template.CSS(style), Warnings: warnings(r), Timeline: timeline(r), Record: record(r)}
	seen := map[string]probes.Observation{}
	for _, o := range r.Observations {
		seen[o.ID] = o
	}
	shown := map[string]bool{} // packets of one observation are printed once
	for _, p := range r.Profiles {
		pv := profileView{ID: p.ID, Version: p.Version, Title: p.Title, Conformity: string(p.Conformity), Class: class(string(p.Conformity)), Counts: reports.Count(p)}
		for _, req := range p.Requirements {
			rv := requirementView{ID: req.ID, Standard: req.Standard, Title: req.Title, Level: req.Level, Reason: req.Reason,
				Verdict: string(req.Verdict), Class: class(string(req.Verdict)), Anchor: anchor(p.ID, req.Standard, req.ID)}
			for _, c := range req.Checks {
				rv.Checks = append(rv.Checks, check(r, c, rv.Anchor, seen, shown))
			}
			pv.Requirements = append(pv.Requirements, rv)
		}
		v.Profiles = append(v.Profiles, pv)
		v.Statement = string(p.Conformity)
	}
	return v
}

// check gathers what one check asked, saw and expected.
func check(r *reports.Report, c verdict.Check, under string, seen map[string]probes.Observation, shown map[string]bool) checkView {
	v := checkView{ID: c.ID, Verdict: string(c.Verdict), Class: class(string(c.Verdict)), Sign: reports.Sign(c.Verdict), Anchor: anchor(under, c.ID),
		Reason: c.Reason, Open: c.Verdict == verdict.Fail, Evidence: "nothing was observed"}
	v.Step, v.Given, v.Expect, v.Row = c.Step, c.Given, c.Expect, strings.Join(c.Rows, ", ")
	if c.Verdict == verdict.Fail {
		v.Mend = c.Remedy
	}
	o, ok := seen[c.Observation]
	if !ok {
		return v
	}
	v.Asks, v.Facts = r.Asks(o.Probe), facts(o.Facts)
	v.Evidence = fmt.Sprintf("observation %s, %s to %s", o.ID, o.Start.UTC().Format(time.RFC3339), o.End.UTC().Format(time.RFC3339))
	if where := r.Frame(o.ID); where != "" {
		v.Evidence += ", " + where
	}
	switch {
	case o.Frames == nil:
	case shown[o.ID]:
		v.More = "The packets of this observation are printed above, where it is cited first."
	default:
		shown[o.ID] = true
		v.Packets, v.More = packets(r, o)
	}
	return v
}

// packets are the first telling frames of an observation, decoded. Bare TCP
// handshakes and acknowledgements are left to the capture.
func packets(r *reports.Report, o probes.Observation) ([]packet, string) {
	lines, err := r.Packets(o, packetsRead)
	if err != nil {
		return nil, "The packets cannot be shown: " + err.Error()
	}
	var out []packet
	for _, l := range lines {
		if l.Protocol == "TCP" || len(out) == packetsShown {
			continue
		}
		out = append(out, packet{fmt.Sprint(l.Frame), l.At.UTC().Format("15:04:05.000"), l.Source, l.Destination, l.Protocol, l.Info})
	}
	total := o.Frames.Last - o.Frames.First + 1
	return out, fmt.Sprintf("%d of %d frames, without bare TCP; the capture in the evidence has all of them.", len(out), total)
}

// facts lists a flat JSON object in its own order.
func facts(raw json.RawMessage) []pair {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	var out []pair
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			break
		}
		out = append(out, pair{fmt.Sprint(name), strings.Trim(string(value), `"`)})
	}
	return out
}

// warnings are what a reader must know before the verdicts.
func warnings(r *reports.Report) []string {
	var out []string
	if r.Note != "" {
		out = append(out, r.Note)
	}
	if r.Outcome == "" {
		out = append(out, "This run never came to its end: what was observed until then is judged, the rest is inconclusive.")
	} else if r.Outcome != "finished" {
		out = append(out, "This run was "+string(r.Outcome)+" before its end.")
	}
	if !r.Sealed {
		out = append(out, "This evidence is not sealed.")
	}
	if r.Key == "ephemeral" {
		out = append(out, "The evidence is signed with a key that was made for this run and kept nowhere: it shows that nothing was changed since, not who made it.")
	}
	if r.Dropped > 0 {
		out = append(out, fmt.Sprintf("The capture lost %d frames; nothing that rests on an absence in that time passes.", r.Dropped))
	}
	return append(out, r.Missing()...)
}

// record is the fine print: who, with what, when.
func record(r *reports.Report) []pair {
	out := []pair{
		{"Run", r.Run},
	}
	units := r.Units
	if len(units) == 0 {
		units = []lab.Unit{r.Unit}
	}
	for _, u := range units {
		out = append(out, pair{"Unit", strings.Trim(fmt.Sprintf("%s, serial %s, MAC %s", u.ID, u.Serial, u.MAC), ", ")})
	}
	out = append(out, pair{"Started", r.Started.UTC().Format(time.RFC3339)})
	if r.Ended != nil {
		out = append(out, pair{"Ended", r.Ended.UTC().Format(time.RFC3339)}, pair{"Outcome", string(r.Outcome)})
	}
	if r.Operator != "" {
		out = append(out, pair{"Operator", r.Operator})
	}
	out = append(out,
		pair{"Capture", fmt.Sprintf("%d frames, %d lost", r.Frames, r.Dropped)},
		pair{"Signed with", r.Key + " key"},
		pair{"Tool", fmt.Sprintf("assay %s, %s, %s/%s, SHA-256 %s", r.Tool.Version, r.Tool.Go, r.Tool.OS, r.Tool.Arch, r.Tool.SHA256)},
	)
	return slices.Concat(out, bench(r.Bench))
}

// bench prints the bench's own description, one line a field.
func bench(raw json.RawMessage) []pair {
	var out []pair
	for _, p := range facts(raw) {
		if p.Value != "null" && p.Value != "" {
			out = append(out, pair{"Bench: " + p.Name, p.Value})
		}
	}
	return out
}
