package html

import (
	"fmt"
	"html/template"
	"strings"
	"time"

	"assay/reports"
	"assay/reports/verdict"
)

// timeline draws when each step ran and how its worst check came out. Every text in
// it is escaped; the numbers are ours.
func timeline(r *reports.Report) template.HTML {
	const left, width, row = 270.0, 690.0, 22.0
	worst := verdicts(r)
	end := r.Started.Add(time.Second)
	for _, o := range r.Observations {
		if o.End.After(end) {
			end = o.End
		}
	}
	scale := width / end.Sub(r.Started).Seconds()
	var b strings.Builder
	height := row*float64(len(r.Observations)) + 30
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="When each step ran and how it was judged">`, left+width+40, height)
	for _, tick := range ticks(end.Sub(r.Started)) {
		x := left + tick.Seconds()*scale
		fmt.Fprintf(&b, `<line class="axis" x1="%.1f" y1="0" x2="%.1f" y2="%g"/><text class="dim" x="%.1f" y="%g">%gs</text>`, x, x, height-18, x-6, height-4, tick.Seconds())
	}
	for i, o := range r.Observations {
		y := row * float64(i)
		x := left + o.Start.Sub(r.Started).Seconds()*scale
		w := max(2, o.End.Sub(o.Start).Seconds()*scale)
		name := template.HTMLEscapeString(short(reports.Label(o.Probe, o.With), 40))
		fmt.Fprintf(&b, `<text x="0" y="%g">%s</text><rect class="bar b-%s" x="%.1f" y="%g" width="%.1f" height="14" rx="2"><title>%s %.1f s</title></rect>`,
			y+14, name, worst[o.ID], x, y+3, w, name, o.End.Sub(o.Start).Seconds())
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// verdicts is the worst verdict that rests on each observation, as a style.
func verdicts(r *reports.Report) map[string]string {
	rank := map[verdict.Verdict]int{verdict.NotApplicable: 0, verdict.Pass: 1, verdict.Inconclusive: 2, verdict.Fail: 3}
	worst := map[string]verdict.Verdict{}
	for _, o := range r.Observations {
		worst[o.ID] = verdict.NotApplicable
	}
	for _, p := range r.Profiles {
		for _, req := range p.Requirements {
			for _, c := range req.Checks {
				if rank[c.Verdict] > rank[worst[c.Observation]] {
					worst[c.Observation] = c.Verdict
				}
			}
		}
	}
	out := map[string]string{}
	for id, v := range worst {
		out[id] = class(string(v))
	}
	return out
}

// ticks are round moments that divide a length into at most eight parts.
func ticks(length time.Duration) []time.Duration {
	step := time.Second
	for _, s := range []time.Duration{time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, time.Hour} {
		step = s
		if length/s <= 8 {
			break
		}
	}
	var out []time.Duration
	for t := time.Duration(0); t <= length && len(out) < 100; t += step {
		out = append(out, t)
	}
	return out
}

func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
