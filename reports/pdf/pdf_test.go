package pdf_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/pdf"
)

// text is what a person reads of a document, page by page, as poppler extracts it.
func text(t *testing.T, document []byte) []string {
	t.Helper()
	if _, err := exec.LookPath("pdftotext"); err != nil {
		t.Skip("needs pdftotext (Debian: poppler-utils)")
	}
	path := filepath.Join(t.TempDir(), "r.pdf")
	require.NoError(t, os.WriteFile(path, document, 0o600))
	cmd := exec.Command("pdftotext", "-layout", path, "-")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Empty(t, complaints.String(), "poppler reads it without a complaint")
	return strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
}

func TestEveryPageHasNumberAndReport(t *testing.T) {
	pages := text(t, facetest.Write(pdf.Write).Render(t, facetest.Judged(t)))
	require.Greater(t, len(pages), 2)
	for i, p := range pages {
		assert.Contains(t, p, "Test report run-1")
		assert.Regexp(t, regexp.MustCompile(`page `+strconv.Itoa(i+1)+` of `+strconv.Itoa(len(pages))+`\b`), p)
	}
}

func TestTheReportNamesWhatALaboratoryMustName(t *testing.T) {
	all := strings.Join(strings.Fields(strings.Join(text(t, facetest.Write(pdf.Write).Render(t, facetest.Judged(t))), " ")), " ")
	for _, want := range []string{
		"non-conformant", "Report number run-1", "Tested by Op", "Client Acme", "Main Street 1", "Gate 7, firmware 2.3.1", "unit-1, serial S1", "2026-11-25 20:00:00 to 2026-11-25 20:01:00 UTC",
		"Baseline, V3.1.3, tested by TS 103 701", "mix, version 1", "assay v1.0.0", "It ran a changed image", "Verify the signature.", "frames 3 to 9 of capture.pcapng", "7-UpdMech/UpdMech-1",
		"review is on record of", "Ada Example", "The generator was read.", "OJ-1", "conformity to a part is not conformity to the whole", "recalled", "does not count", "Signature", "Amended through amendment 2, which has SHA-256 " + facetest.Through,
		"Bench proven 4 of 6 tests with a known-good device sound", "after o-040 not sound, 2026-11-25 20:00:40 UTC: broker: want CONNACK 20020000, got connection refused", "not recorded in the evidence",
	} {
		assert.Contains(t, all, want)
	}
}

func TestTheLaboratoryAndTheSample(t *testing.T) {
	r := facetest.Judged(t)
	r.Lab = &lab.Laboratory{Name: "Example Lab", Address: "Lab Street 2", Accreditation: "EX-0001"}
	r.Received, r.State = "2026-11-20", "sealed retail box"
	all := strings.Join(strings.Fields(strings.Join(text(t, facetest.Write(pdf.Write).Render(t, r)), " ")), " ")
	assert.Contains(t, all, "Laboratory Example Lab, Lab Street 2, accreditation EX-0001")
	assert.Contains(t, all, "Received 2026-11-20, sealed retail box")
}

// Nothing that was not settled may look settled.
func TestNothingOpenLooksPassed(t *testing.T) {
	green := regexp.MustCompile(`(?m)^0\.855 0\.984 0\.882 rg|^0\.102 0\.498 0\.216 rg`)
	plain := facetest.Judged(t)
	require.Regexp(t, green, uncompressed(t, plain), "a pass is green")
	for name, r := range facetest.Open(t) {
		document := facetest.Write(pdf.Write).Render(t, r)
		assert.NotRegexp(t, green, uncompressed(t, r), name)
		for _, page := range text(t, document) {
			assert.NotContains(t, strings.Fields(page), "conformant", name)
			assert.NotContains(t, strings.Fields(page), "pass", name)
		}
	}
}

// uncompressed is a document's drawing instructions.
func uncompressed(t *testing.T, r *reports.Report) string {
	t.Helper()
	b, err := pdf.Uncompressed(r)
	require.NoError(t, err)
	return string(b)
}

func TestHostileStringsDrawNothing(t *testing.T) {
	for _, evil := range facetest.Evil {
		r := facetest.Judged(t)
		facetest.Infect(r, evil)
		text(t, facetest.Write(pdf.Write).Render(t, r))
		document := uncompressed(t, r)
		for _, word := range []string{"/JavaScript", "/JS", "/URI", "/Launch", "/OpenAction <<"} {
			assert.NotContains(t, document, word, "%q", evil)
		}
	}
}

func TestLettersThatNoFontHasLeaveATrace(t *testing.T) {
	r := facetest.Judged(t)
	r.Device.Manufacturer, r.Operator = "Łódź 电子", "Zoë Müller"
	all := strings.Join(text(t, facetest.Write(pdf.Write).Render(t, r)), "\n")
	assert.Contains(t, all, "Lódz [U+7535][U+5B50]")
	assert.Contains(t, all, "Zoë Müller")
	assert.Contains(t, all, "base letters")
}

func TestManners(t *testing.T) { facetest.Manners(t, pdf.Write, 5*time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, pdf.Write, 5*time.Second) }
