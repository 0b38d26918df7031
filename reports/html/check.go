package html

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"assay/probes"
	"assay/reports"
	"assay/reports/verdict"
)

type (
	checkView struct {
		ID, Verdict, Class, Anchor, Reason             string
		Asks, Step, Given, Expect, Mend, Row, Evidence string
		More                                           string
		Facts                                          []pair
		Packets                                        []packet
		Open                                           bool
	}
	packet struct{ Frame, Time, From, To, Protocol, Info string }
)

// check gathers what one check asked, saw and expected.
func (b *builder) check(c verdict.Check) checkView {
	v := checkView{ID: c.ID, Verdict: string(c.Verdict), Class: class(string(c.Verdict)), Anchor: b.told[c.ID].anchor,
		Reason: c.Reason, Open: c.Verdict == verdict.Fail, Evidence: "nothing was observed",
		Step: c.Step, Given: c.Given, Expect: c.Expect, Row: strings.Join(c.Rows, ", ")}
	if c.Step == "" {
		v.Evidence = "the dossier; the device is not asked"
	}
	if c.Verdict == verdict.Fail {
		v.Mend = c.Remedy
	}
	o, ok := b.seen[c.Observation]
	if !ok {
		return v
	}
	v.Asks, v.Facts = b.r.Asks(o.Probe), facts(o.Facts)
	v.Evidence = fmt.Sprintf("observation %s, %s to %s", o.ID, o.Start.UTC().Format(time.RFC3339), o.End.UTC().Format(time.RFC3339))
	if where := b.r.Frame(o.ID); where != "" {
		v.Evidence += ", " + where
	}
	switch {
	case o.Frames == nil:
	case b.shown[o.ID]:
		v.More = "The packets of this observation are printed above, where it is cited first."
	default:
		b.shown[o.ID] = true
		v.Packets, v.More = packets(b.r, o)
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
	var out []pair
	for _, f := range reports.Fields(raw) {
		out = append(out, pair(f))
	}
	return out
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
