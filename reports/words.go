package reports

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/lab/bench"
	"assay/lab/capture"
	"assay/probes"
	"assay/reports/verdict"
)

// Count tells in words how many requirements have which verdict.
func Count(v verdict.Result) string {
	n := map[verdict.Verdict]int{}
	for _, r := range v.Requirements {
		n[r.Verdict]++
	}
	parts := []string{fmt.Sprintf("%d requirements", len(v.Requirements))}
	for _, word := range []verdict.Verdict{verdict.Pass, verdict.Fail, verdict.Inconclusive, verdict.NotApplicable} {
		if n[word] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[word], word))
		}
	}
	return strings.Join(parts, ", ")
}

// Sign is a verdict as one character.
func Sign(v verdict.Verdict) string {
	switch v {
	case verdict.Pass:
		return "✓"
	case verdict.Fail:
		return "✗"
	case verdict.NotApplicable:
		return "–"
	default:
		return "?"
	}
}

// Asks is a probe's question, as it was put on the day.
func (r *Report) Asks(probe string) string { return r.set.Schemas[probe].Asks }

// Frame tells where in the capture an observation can be seen; empty where it cannot.
func (r *Report) Frame(observation string) string {
	for _, o := range r.Observations {
		if o.ID != observation || o.Frames == nil {
			continue
		}
		s := fmt.Sprintf("frames %d to %d of %s", o.Frames.First, o.Frames.Last, o.Frames.File)
		if o.Frames.Dropped > 0 {
			s += fmt.Sprintf(", %d lost", o.Frames.Dropped)
		}
		return s
	}
	return ""
}

// Label names a step for people: the probe and what tells it from its sisters, e.g.
// "update/refusal older https"; times and counts are left out.
func Label(probe string, with json.RawMessage) string {
	var parameters map[string]any
	if json.Unmarshal(with, &parameters) != nil {
		return probe
	}
	label := probe
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if word, ok := parameters[name].(string); ok && word != "" {
			label += " " + word
		}
	}
	return label
}

// Packets decodes the first frames of an observation from the recorded capture.
func (r *Report) Packets(o probes.Observation, most int) ([]capture.Line, error) {
	if o.Frames == nil {
		return nil, nil
	}
	file, err := r.ev.Artefact(o.Frames.File)
	if err != nil {
		return nil, fmt.Errorf("open the capture: %w", err)
	}
	defer file.Close()
	return capture.DescribeFrom(file, o.Frames.First, o.Frames.Last, most)
}

// Missing tells what the bench could not observe and how to get the full one.
func (r *Report) Missing() []string {
	var b struct {
		Missing []bench.Missing `json:"missing"`
	}
	if len(r.Bench) == 0 || json.Unmarshal(r.Bench, &b) != nil {
		return nil
	}
	var out []string
	for _, m := range b.Missing {
		s := fmt.Sprintf("This bench had no %s: %s.", m.Instrument, m.Because)
		if m.Mend != "" {
			s += " To mend it: " + m.Mend
		}
		out = append(out, s)
	}
	return out
}
