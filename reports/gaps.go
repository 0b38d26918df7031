package reports

import (
	"fmt"
	"strings"
	"time"

	"assay/lab"
	"assay/lab/evidence"
)

// Interruptions tells in sentences what the record lacks because the run was ended by force, and how it went on.
func (r *Report) Interruptions() []string {
	var out []string
	for _, g := range r.Gaps {
		switch g.What {
		case evidence.TornTail:
			out = append(out, fmt.Sprintf("The record's last line before an interruption, %d bytes, was never finished and does not count.", g.Bytes))
		case lab.Interruption:
			out = append(out, interruption(g))
		}
	}
	return out
}

func interruption(g lab.Gap) string {
	s := fmt.Sprintf("This run was interrupted: nothing is on record between %s and %s (%s).",
		g.From.UTC().Format("2006-01-02 15:04:05"), g.To.UTC().Format("2006-01-02 15:04:05 UTC"), g.To.Sub(g.From).Round(time.Second))
	if len(g.UnderWay) > 0 {
		var ids []string
		for _, u := range g.UnderWay {
			ids = append(ids, u.Observation)
		}
		s += " Under way then, and asked again: " + strings.Join(ids, ", ") + "."
	}
	if g.Capture != "" {
		s += " Frames from then on are in " + g.Capture + "."
	}
	if len(g.Changed) > 0 {
		s += " Changed meanwhile: " + strings.Join(g.Changed, "; ") + "."
	}
	return s
}
