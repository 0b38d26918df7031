package firmware_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware"
)

func detachedVectors() adapter {
	return adapter{judge: judgeDetached, generate: generateDetached}
}

type detachedContext struct {
	Time string `yaml:"time"`
}

// judgeDetached judges a signature file with its artifact. The row's variant is the
// scheme that must be found by content alone. Files that are n/a are artifacts.
func judgeDetached(t *testing.T, c vectorCase) {
	if c.Verdict == "n/a" {
		require.Empty(t, c.Variant)
		return
	}
	var x detachedContext
	c.context(t, &x)
	files := []firmware.Anchor{{From: c.Key, Bytes: c.bytes(t, c.Key)}}
	if c.Variant == "cms" {
		for _, crl := range []string{"keys/cms-root.crl.pem", "keys/cms-int.crl.pem"} {
			if _, err := os.Stat(c.path(crl)); err == nil {
				files = append(files, firmware.Anchor{From: crl, Bytes: c.bytes(t, crl)})
			}
		}
	}
	trust, err := firmware.ParseTrust(files...)
	require.NoError(t, err)
	trust.At, err = time.Parse(time.DateOnly, x.Time)
	require.NoError(t, err)
	trust.At = trust.At.Add(24*time.Hour - time.Second) // the day is over: its own keys were made on it
	report, err := firmware.Verify(commonInput(t, c), trust)
	assert.Equal(t, err == nil, report.Verified)
	t.Logf("%s: %v", c.Verdict, err)
	if c.Verdict == "accept" {
		assert.Equal(t, c.Variant, report.Image.Format)
		assert.NotEmpty(t, report.Chain)
		assert.NotEmpty(t, report.Digest)
	}
	expect(t, c, report, err)
}

func generateDetached(t *testing.T, dir string) manifest { return manifest{} }
