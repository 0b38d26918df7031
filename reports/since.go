package reports

import (
	"fmt"
	"strings"
	"time"

	"assay/lab/evidence"
)

// Through tells how far a file is amended. Its last amendments can be cut off without a trace in the file: whoever has
// this from elsewhere holds the file against it.
type Through struct {
	Amendments int    `json:"amendments"`
	SHA256     string `json:"sha256"` // hex, of the last amendment; of the seal where there is none
}

// ThroughOf is nil where a run was never sealed.
func ThroughOf(ev *evidence.Evidence) *Through {
	if ev.Through == "" {
		return nil
	}
	return &Through{len(ev.Amendments), ev.Through}
}

// String tells it in words.
func (t *Through) String() string {
	switch {
	case t == nil:
		return "not sealed"
	case t.Amendments == 0:
		return "no amendment, the seal has SHA-256 " + t.SHA256
	default:
		return fmt.Sprintf("amendment %d, which has SHA-256 %s", t.Amendments, t.SHA256)
	}
}

// Since is what was added to the seal: a time-stamp, and amendments. A face prints it as what it is: claimed by
// the file, checked by nobody but `assay verify` under the keys of whoever reads it.
func (r *Report) Since() []Field {
	if r.Through == nil {
		return nil
	}
	ev := r.ev
	if ev == nil { // a report that was not built from a record
		ev = &evidence.Evidence{}
	}
	var out []Field
	if s := ev.Stamp; s != nil {
		out = append(out, Field{Name: "Time-stamp", Value: fmt.Sprintf("%s by %s; checked by `assay verify --tsa-root` only", s.Time.UTC().Format(time.RFC3339), s.Authority)})
	}
	for _, a := range ev.Amendments {
		what := []string{fmt.Sprintf("%s by %s (%s), %s", a.Kind, a.By, a.Role, a.Time.UTC().Format(time.RFC3339))}
		if a.Of != "" {
			what = append(what, "of "+a.Of)
		}
		if a.Statement != "" {
			what = append(what, Clip(a.Statement, 300))
		}
		out = append(out, Field{Name: fmt.Sprintf("Amendment %d", a.Number), Value: strings.Join(what, ": ") + "; checked by `assay verify` under its author's key only"})
	}
	return append(out, Field{Name: "Amended through", Value: r.Through.String() + "; `assay verify --amended-through` holds a file against it"})
}
