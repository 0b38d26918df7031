package html

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"assay/reports"
)

type (
	provenView struct {
		Anchor, Word, Class, When, Says, Time, Takes, Look, Device, Frames string
		Record                                                             uint64
		Bad                                                                bool
		Answers                                                            []answerView
	}
	answerView struct{ Asked, Want, Got, Word, Class string }
)

// proven are the bench's tests of itself. None of them has a pass's colour: they are no verdicts.
func proven(r *reports.Report) []provenView {
	var out []provenView
	for _, p := range r.Provings() {
		v := provenView{Anchor: anchor("bench", fmt.Sprint(p.Record)), Word: p.Word, Class: "na", When: p.At(), Says: p.Says, Time: p.Time.UTC().Format(time.RFC3339), Record: p.Record,
			Takes: p.Takes, Frames: p.Frames}
		if p.Word == reports.Unsound {
			v.Bad, v.Class, v.Look = true, "inconclusive", p.Mend
		}
		if p.MAC != "" {
			v.Device = strings.Join([]string{p.Device, "MAC " + p.MAC, "leased " + cmp.Or(p.Address, "no address"), fmt.Sprintf("%d ms", p.Milliseconds)}, ", ")
		}
		for _, a := range p.Answers {
			one := answerView{a.Asked, a.Want, a.Got, "yes", ""}
			switch {
			case a.NotDone != "":
				one.Got, one.Word = a.NotDone, "not asked"
			case !a.OK:
				one.Word, one.Class = "no", "inconclusive"
			}
			v.Answers = append(v.Answers, one)
		}
		out = append(out, v)
	}
	return out
}
