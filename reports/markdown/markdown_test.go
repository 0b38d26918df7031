package markdown_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"assay/reports/facetest"
	"assay/reports/markdown"
)

func TestTheReportIsWhole(t *testing.T) {
	b := string(facetest.Write(markdown.Write).Render(t, facetest.Judged(t)))
	for _, want := range []string{
		"# Test report run-1\n", "**✗ non-conformant** by A mixed profile", "| 5.1-1 | Passwords are unique | mandatory | ✓ pass |", "| 5.1-3 | Cryptography is good | mandatory | ? inconclusive |",
		"| 5.8-3 | Sensors are documented | mandatory | – not-applicable |", "| AUM-5 | Defaults are unique | mandatory, recalled | ✓ pass |", "frames 3 to 9 of capture.pcapng", "To mend: Verify the signature.",
		"? open: 5.1-3-1.a", "conformity to a part is not conformity to the whole", "OJ-0, touching the whole standard", "does not count",
	} {
		assert.Contains(t, b, want)
	}
	assert.Equal(t, 2, strings.Count(b, "update/tampered: It ran a changed image."), "once for each requirement that it fails")
	assert.Contains(t, b, "- no review is on record of 5.1-3-1.a\n", "what no check says is said")
}

func TestNothingOpenLooksPassed(t *testing.T) {
	for name, r := range facetest.Open(t) {
		b := string(facetest.Write(markdown.Write).Render(t, r))
		assert.NotContains(t, b, "✓", name)
		assert.NotContains(t, b, "**conformant", name)
	}
}

func TestHostileStringsStayText(t *testing.T) {
	harmless := facetest.Judged(t)
	facetest.Infect(harmless, "zz")
	plain := string(facetest.Write(markdown.Write).Render(t, harmless))
	for _, evil := range append(facetest.Evil, "@everyone", "http://evil.example", "www.evil.example", "![x](y)", "~~~", "- item") {
		r := facetest.Judged(t)
		facetest.Infect(r, evil)
		b := string(facetest.Write(markdown.Write).Render(t, r))
		assert.NotContains(t, b, "<", "%q", evil)
		for _, begin := range []string{"\n#", "\n|", "\n>", "\n-", "\n```"} {
			assert.Equal(t, strings.Count(plain, begin), strings.Count(b, begin), "%q makes a block %q", evil, begin)
		}
		for _, word := range []string{" @", "http://", "www."} {
			assert.NotContains(t, b, word, "%q", evil)
		}
		assert.NotRegexp(t, `[^\\]\]\(`, b, "%q", evil)
	}
}

func TestManners(t *testing.T) { facetest.Manners(t, markdown.Write, time.Second, time.Now) }

func BenchmarkTheLargestProfile(b *testing.B) { facetest.Bench(b, markdown.Write, time.Second) }
