package reports_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/reports"
	"assay/reports/cyclonedx"
	"assay/reports/facetest"
	"assay/reports/html"
	"assay/reports/intoto"
	"assay/reports/junit"
	"assay/reports/markdown"
	"assay/reports/oscal"
	"assay/reports/sarif"
	"assay/reports/text"
)

func TestProvings(t *testing.T) {
	start := time.Date(2026, 11, 25, 20, 0, 0, 0, time.UTC)
	proofs := facetest.Proofs(start)
	r := &reports.Report{Started: start, SelfTests: proofs}
	assert.Equal(t, "4 of 6 tests with a known-good device sound, 1 not sound, 1 not done; first before the run, last after the run", r.Proven())
	assert.Equal(t, []reports.Field{
		{Name: "before the run", Value: "sound, 2026-11-25 20:00:00 UTC: each of 2 answers is the known one; 1 could not be asked for on this bench. Seen in frames 1 to 2 of capture.pcapng."},
		{Name: "3 in between", Value: "sound each, 2026-11-25 20:00:10 UTC to 2026-11-25 20:00:30 UTC"},
		{Name: "after o-040", Value: "not sound, 2026-11-25 20:00:40 UTC: broker: want CONNACK 20020000, got connection refused. " +
			"What was observed since the last sound test, 2026-11-25 20:00:30 UTC, counts for nothing: 2 observations, o-031 to o-040. They are inconclusive unless they were asked again. Seen in frames 1 to 2 of capture.pcapng."},
		{Name: "after the run", Value: "not done, 2026-11-25 20:00:50 UTC: the segment is not the lab's. To mend it: use mode gateway."},
	}, r.ProvenWhen())

	for name, c := range map[string]struct {
		change func(*reports.Report)
		proven string
		says   string // the sentence about what counts for nothing
	}{
		"no test at all":        {func(r *reports.Report) { r.SelfTests = nil }, "no test with a known-good device is on record", ""},
		"none could be done":    {func(r *reports.Report) { r.SelfTests = proofs[5:] }, "not tested with a known-good device: the segment is not the lab's. To mend it: use mode gateway", ""},
		"all sound":             {func(r *reports.Report) { r.SelfTests = proofs[:4] }, "4 of 4 tests with a known-good device sound; first before the run, last after o-030", ""},
		"none was ever sound":   {func(r *reports.Report) { r.SelfTests = proofs[4:5] }, "0 of 1 tests with a known-good device sound, 1 not sound; first after o-040, last after o-040", "since the run began, 2026-11-25 20:00:00 UTC, counts for nothing: 2 observations"},
		"nothing was asked yet": {func(r *reports.Report) { r.SelfTests[4].Voids = nil }, "", "Nothing was observed since the last sound test, 2026-11-25 20:00:30 UTC."},
		"one observation":       {func(r *reports.Report) { r.SelfTests[4].Voids = []string{"o-033"} }, "", "counts for nothing: o-033. It is inconclusive unless"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r := &reports.Report{Started: start, SelfTests: facetest.Proofs(start)}
			c.change(r)
			if c.proven != "" {
				assert.Equal(t, c.proven, r.Proven())
			}
			said := strings.Join(r.Unproven(), "\n")
			if c.says == "" {
				assert.Empty(t, said)
			}
			assert.Contains(t, said, c.says)
			assert.Contains(t, strings.Join(r.Warnings(), "\n"), said)
		})
	}
}

// TestFacesTellOfTheBench wants every text or machine face to say how the bench was tested, and when it went bad.
func TestFacesTellOfTheBench(t *testing.T) {
	faces := map[string]facetest.Write{
		"text": func(w io.Writer, r *reports.Report) error { return text.Write(w, r, false) },
		"html": html.Write, "markdown": markdown.Write, "junit": junit.Write, "sarif": sarif.Write, "oscal": oscal.Write, "cyclonedx": cyclonedx.Write, "intoto": intoto.Write,
	}
	for name, face := range faces {
		t.Run(name, func(t *testing.T) {
			said := strings.Join(strings.Fields(string(face.Render(t, facetest.Judged(t)))), " ")
			assert.Contains(t, said, facetest.Through, "how far the file is amended")
			if name == "html" || name == "markdown" || name == "oscal" {
				assert.Contains(t, said, "before the run")
				assert.Contains(t, said, "broker: want CONNACK 20020000, got connection refused")
			} else {
				assert.Contains(t, said, "4 of 6 tests with a known-good device sound, 1 not sound, 1 not done")
			}
			if name != "junit" && name != "intoto" {
				assert.Contains(t, said, "The bench failed its test with a known-good device after o-040, 2026-11-25 20:00:40 UTC: broker:")
			}
		})
	}
}
