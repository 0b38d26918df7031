package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/reports/verdict"
)

// becomes changes recorded verdicts, once for each pair of words.
func becomes(t *testing.T, pairs ...string) func([]byte) []byte {
	return func(b []byte) []byte {
		s := string(b)
		for i := 0; i < len(pairs); i += 2 {
			require.Contains(t, s, pairs[i])
			s = strings.Replace(s, pairs[i], pairs[i+1], 1)
		}
		return []byte(s)
	}
}

// TestEditions verifies what other editions of the judge wrote: it is whole, whatever this one would say.
func TestEditions(t *testing.T) {
	t.Parallel()
	own := fmt.Sprintf(`"judge": %d`, verdict.Edition)
	incomplete, conformant := `"conformity": "incomplete"`, `"conformity": "conformant"`
	first := `"verdict": "inconclusive",`

	// Other words, and the same verdicts.
	for _, edition := range []string{`"judge": 0`, `"judge": 999`, `"was": 1`} {
		s := sealedWith(t, "", nil, becomes(t, own, edition, "no review is on record", "nobody looked"))
		f := s.verifies(exitDone)
		assert.False(t, f.Attested)
		assert.Nil(t, f.Judge)
		assert.Contains(t, assay(t, exitDone, "verify", s.file, "--key", s.pub).said(), "incomplete, recomputed from the observations")
		assert.NotContains(t, assay(t, exitIncomplete, "report", s.file).said(), "of the judge")
	}
	// The same words of this edition were not written by it.
	s := sealedWith(t, "", nil, becomes(t, "no review is on record", "nobody looked"))
	assert.Equal(t, "verdicts", s.verifies(exitUnverified).Broken)

	// Other verdicts of another edition: the lab's word, told as such, and the report tells both.
	s = sealedWith(t, "", nil, becomes(t, own, `"judge": 999`, incomplete, conformant, first, `"verdict": "pass",`))
	f := s.verifies(exitIncomplete)
	assert.True(t, f.Verified && f.Complete && f.Attested)
	assert.Equal(t, string(verdict.Conformant), f.Conformity)
	require.NotNil(t, f.Judge)
	assert.Equal(t, []int{999, verdict.Edition}, []int{f.Judge.Edition, f.Judge.Own})
	require.Len(t, f.Judge.Differs, 2)
	said := assay(t, exitIncomplete, "verify", s.file, "--key", s.pub).said()
	assert.Contains(t, said, "conformant, NOT RECOMPUTED: the lab's word under its seal")
	assert.Contains(t, said, "of edition 999 of the judge")
	assert.Contains(t, said, "conformant on record, incomplete by this judge")
	assert.Contains(t, assay(t, exitIncomplete, "report", s.file).said(), "The verdicts on record are of edition 999 of the judge")
	// The same lie of this edition is told from it.
	s = sealedWith(t, "", nil, becomes(t, incomplete, conformant))
	assert.Equal(t, "verdicts", s.verifies(exitUnverified).Broken)

	// A profile that this edition cannot read, and verdicts of another form.
	unreadable := map[string]string{"profiles/second.yaml": "assay: profile/v9\n"}
	later := func([]byte) []byte {
		return []byte(`{"judge": 999, "conformity": "conformant", "requirements": "another form"}`)
	}
	s = sealedWith(t, "", unreadable, later)
	f = s.verifies(exitIncomplete)
	require.NotNil(t, f.Judge)
	assert.Contains(t, f.Judge.Why, "want one file in profiles/")
	assert.Equal(t, string(verdict.Conformant), f.Conformity)
	for _, args := range [][]string{{"report", s.file}, {"report", s.file, "--format", "crosswalk"}, {"judge", s.file}, {"show", s.file, "3-f"}, {"diff", s.file, s.file}} {
		r := assay(t, exitIncomplete, args...)
		assert.Contains(t, r.told(), "hint: the run was begun by assay", args)
		assert.Empty(t, r.said(), args)
	}
	s = sealedWith(t, "", nil, later)
	assert.Contains(t, assay(t, exitIncomplete, "verify", s.file, "--key", s.pub).said(), "has another form")
	// An edition that is no number, or none at all, is no excuse.
	for _, verdicts := range []string{`{"judge": "x"}`, `null, []`, `[1]`} {
		s = sealedWith(t, "", nil, func([]byte) []byte { return []byte(verdicts) })
		assert.Equal(t, "verdicts", s.verifies(exitUnverified).Broken, verdicts)
	}
	s = sealedWith(t, "", unreadable, func([]byte) []byte { return []byte("{" + own + "}") })
	assert.Equal(t, "verdicts", s.verifies(exitUnverified).Broken)

	// A redacted copy of another edition's verdicts is the lab's word as any is.
	s = sealedWith(t, "", nil, becomes(t, own, `"judge": 0`, "no review is on record", "nobody looked"))
	whole := s.file
	s.file = filepath.Join(s.dir, "public.assay")
	assay(t, exitDone, "redact", whole, "--out", s.file, "--withhold", "device.log")
	assert.False(t, s.verifies(exitDone).Attested)
}
