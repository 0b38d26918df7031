package junit_test

import (
	"encoding/xml"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports"
	"assay/reports/facetest"
	"assay/reports/junit"
)

type document struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
	Suites   []struct {
		Name  string `xml:"name,attr"`
		Cases []struct {
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func read(t *testing.T, r *reports.Report) document {
	t.Helper()
	var d document
	require.NoError(t, xml.Unmarshal(facetest.Write(junit.Write).Render(t, r), &d))
	return d
}

func TestEveryVerdictHasItsElement(t *testing.T) {
	d := read(t, facetest.Judged(t))
	assert.Equal(t, []int{8, 3, 2, 1}, []int{d.Tests, d.Failures, d.Errors, d.Skipped}, "7 requirements and the statement")
	require.Len(t, d.Suites, 3)
	assert.Equal(t, "etsi-en-303-645 V3.1.3", d.Suites[0].Name)
	assert.Equal(t, "5.3-2 Updates are secure", d.Suites[0].Cases[2].Name)
	assert.NotNil(t, d.Suites[0].Cases[2].Failure)
	assert.NotNil(t, d.Suites[2].Cases[0].Failure, "non-conformant")
	b := string(facetest.Write(junit.Write).Render(t, facetest.Judged(t)))
	assert.Contains(t, b, "To mend: Verify the signature.")
	assert.Contains(t, b, `type="fail, recommended"`)
}

func TestNothingOpenLooksPassed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		d := read(t, r)
		require.Positive(t, d.Tests, name)
		assert.Equal(t, d.Tests, d.Errors, name)
		for _, s := range d.Suites {
			for _, c := range s.Cases {
				assert.NotNil(t, c.Error, "%s: %s", name, c.Name)
			}
		}
	}
}

func TestHostileStringsMakeNoElement(t *testing.T) {
	want := read(t, facetest.Judged(t))
	for _, evil := range facetest.Evil {
		r := facetest.Judged(t)
		facetest.Infect(r, evil)
		d := read(t, r)
		assert.Equal(t, want.Tests, d.Tests, "%q", evil)
		assert.NotContains(t, string(facetest.Write(junit.Write).Render(t, r)), "\n::error", "a log command of a CI")
	}
}

func TestManners(t *testing.T) { facetest.Manners(t, junit.Write, time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, junit.Write, time.Second) }
