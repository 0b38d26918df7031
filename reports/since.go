package reports

import (
	"fmt"
	"strings"
	"time"
)

// Since is what was added to the seal: a time-stamp, and amendments. A face prints it as what it is: claimed by
// the file, checked by nobody but `assay verify` under the keys of whoever reads it.
func (r *Report) Since() []Field {
	if r.ev == nil {
		return nil
	}
	var out []Field
	if s := r.ev.Stamp; s != nil {
		out = append(out, Field{Name: "Time-stamp", Value: fmt.Sprintf("%s by %s; checked by `assay verify --tsa-root` only", s.Time.UTC().Format(time.RFC3339), s.Authority)})
	}
	for _, a := range r.ev.Amendments {
		what := []string{fmt.Sprintf("%s by %s (%s), %s", a.Kind, a.By, a.Role, a.Time.UTC().Format(time.RFC3339))}
		if a.Of != "" {
			what = append(what, "of "+a.Of)
		}
		if a.Statement != "" {
			what = append(what, Clip(a.Statement, 300))
		}
		out = append(out, Field{Name: fmt.Sprintf("Amendment %d", a.Number), Value: strings.Join(what, ": ") + "; checked by `assay verify` under its author's key only"})
	}
	return out
}
