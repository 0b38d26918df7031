package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab"
	"assay/lab/capture"
	"assay/lab/evidence"
)

// rotates follows citations of a run whose capture went on in several files to the frames themselves, and withholds them.
func rotates(t *testing.T, dir string) {
	t.Helper()
	sealed := filepath.Join(dir, filepath.Base(dir)+".assay")
	ev, err := evidence.Open(sealed)
	require.NoError(t, err)
	var kept lab.Captured
	for _, r := range ev.Records {
		if r.Kind == evidence.KindCapture {
			require.NoError(t, json.Unmarshal(r.Body, &kept))
		}
	}
	require.Greater(t, len(kept.Parts), 2, "%+v", kept)
	assert.Equal(t, "capture.pcapng", kept.File)
	assert.Equal(t, kept.Dropped, kept.Losses.Total)
	assert.True(t, kept.Losses.From.Before(kept.Losses.To))
	frames, err := ev.Observations()
	require.NoError(t, err)
	far := 0
	for _, o := range frames {
		if o.Frames == nil {
			continue
		}
		assert.Equal(t, "capture.pcapng", o.Frames.File)
		part, number := kept.Parts[0], o.Frames.First
		for _, p := range kept.Parts {
			if part = p; number <= p.Frames {
				break
			}
			number -= p.Frames
		}
		if part.File != kept.File {
			far++
		}
		said := assay(t, exitDone, "show", sealed, o.ID, "--bytes", fmt.Sprint(o.Frames.First), "--format", "json").said()
		var shown struct{ Bytes string }
		require.NoError(t, json.Unmarshal([]byte(said), &shown))
		require.Equal(t, hex.EncodeToString(frameOfFile(t, filepath.Join(dir, part.File), number)), shown.Bytes, "%s: frame %d is frame %d of %s", o.ID, o.Frames.First, number, part.File)
		text := assay(t, exitDone, "show", sealed, o.ID, "--packets", "3").said()
		assert.Contains(t, text, fmt.Sprintf("by file: %d to", number))
		assert.Contains(t, text, fmt.Sprintf("\n  %7d  ", o.Frames.First))
	}
	require.NotZero(t, far, "some observation is in a later file")
	public := filepath.Join(t.TempDir(), "public.assay")
	assay(t, exitDone, "redact", sealed, "--out", public, "--withhold", "capture.pcapng")
	said := assay(t, exitDone, "verify", public, "--key", filepath.Join(dir, "lab.pub")).said()
	for _, p := range kept.Parts {
		assert.Contains(t, said, p.File, "whoever withholds a capture means all of it")
	}
	assert.Equal(t, len(kept.Parts), strings.Count(said, ".pcapng"))
}

func frameOfFile(t *testing.T, path string, number uint64) []byte {
	t.Helper()
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	r, err := capture.NewReader(in)
	require.NoError(t, err)
	for {
		f, err := r.Next()
		require.NoError(t, err)
		if f.Number == number {
			return append([]byte(nil), f.Data...)
		}
	}
}
