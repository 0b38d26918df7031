package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// rotating starts a capture of a script that goes on in a next file after every MiB, or hour.
func rotating(t *testing.T, every time.Duration) (*Capture, *script) {
	t.Helper()
	o := Options{Interface: "test0", Path: filepath.Join(t.TempDir(), "run.pcapng"), MAC: deviceMAC, Clock: wall{}, RotateBytes: smallFile, RotateEvery: every}
	o, err := o.check()
	require.NoError(t, err)
	out, head, err := create(o)
	require.NoError(t, err)
	s := newScript()
	c := begin(t.Context(), o, s, out, head)
	t.Cleanup(func() { _ = c.Close() })
	return c, s
}

func paths(c *Capture) (out []string) {
	for _, v := range c.Volumes() {
		out = append(out, v.Path)
	}
	return out
}

// fill gives frames that take some 400 kB in the file and returns the mark after them.
func fill(t *testing.T, c *Capture, s *script, name string) probes.Mark {
	t.Helper()
	for i := range 400 {
		s.give(udpFrame(t, 1, 2, fmt.Appendf(nil, "%s %d %900d", name, i, i)))
	}
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	return m
}

func TestRotation(t *testing.T) {
	c, s := rotating(t, time.Hour)
	marks := []probes.Mark{{}}
	for i := range 8 {
		marks = append(marks, fill(t, c, s, fmt.Sprintf("round %d", i)))
		require.NoError(t, c.Secrets(fmt.Appendf(nil, "CLIENT_RANDOM %d\n", i)))
	}
	files := paths(c)
	require.GreaterOrEqual(t, len(files), 3)
	assert.Equal(t, "run.00002.pcapng", filepath.Base(files[1]))
	windows := func() {
		for i := range 8 {
			w, err := c.Window(t.Context(), marks[i], marks[i+1])
			require.NoError(t, err)
			require.True(t, w.Complete, "round %d", i)
			seen := collect(w)
			require.Len(t, seen, 400)
			assert.Contains(t, string(seen[0]), fmt.Sprintf("round %d 0 ", i))
			assert.Contains(t, string(seen[399]), fmt.Sprintf("round %d 399 ", i))
		}
		w, err := c.Window(t.Context(), marks[0], marks[8])
		require.NoError(t, err)
		assert.True(t, w.Complete)
		assert.Len(t, collect(w), 3200, "a window over all files")
	}
	windows()
	require.NoError(t, c.Close())
	windows()
	files = paths(c)
	var total int
	for i, path := range files {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		frames, err := readAll(data)
		require.EqualError(t, err, "EOF")
		total += len(frames)
		assert.EqualValues(t, len(frames), c.Volumes()[i].Frames)
		assert.Less(t, len(data), 2*smallFile)
		for n := range 8 {
			assert.Equal(t, 1, strings.Count(string(data), fmt.Sprintf("CLIENT_RANDOM %d\n", n)), "a connection may go on in any file: each has every key")
			assert.Contains(t, string(data[:min(len(data), 1000)]), fmt.Sprintf("CLIENT_RANDOM %d\n", n), "at its head")
		}
	}
	assert.Equal(t, 3200, total)
	require.NoError(t, os.Remove(files[1]))
	_, err := c.Window(t.Context(), marks[3], marks[4])
	require.ErrorIs(t, err, probes.ErrBench, "a file that is gone is no window")
}

func TestRotationByAge(t *testing.T) {
	c, s := rotating(t, time.Second)
	fill(t, c, s, "young")
	require.Len(t, paths(c), 1)
	c.mu.Lock()
	c.parts[0].began = c.parts[0].began.Add(-time.Minute)
	c.mu.Unlock()
	fill(t, c, s, "old")
	require.Len(t, paths(c), 2)
	require.NoError(t, c.Close())
}

func TestRotationThatCannotGoOnStays(t *testing.T) {
	c, s := rotating(t, 0)
	next := filepath.Join(filepath.Dir(c.options.Path), "run.00002.pcapng")
	require.NoError(t, os.WriteFile(next, []byte("older evidence"), 0o600))
	var last probes.Mark
	for i := range 4 {
		last = fill(t, c, s, fmt.Sprint(i))
	}
	require.Len(t, paths(c), 1)
	w, err := c.Window(t.Context(), probes.Mark{}, last)
	require.NoError(t, err)
	assert.True(t, w.Complete, "no frame is lost over it")
	require.ErrorContains(t, c.Close(), "go on in a next file: create the capture file")
	kept, err := os.ReadFile(next)
	require.NoError(t, err)
	assert.Equal(t, "older evidence", string(kept))
	for spoil, want := range map[*Options]string{{RotateBytes: 5}: "too soon", {RotateEvery: 5}: "too soon"} {
		spoil.Interface, spoil.Path, spoil.Clock = "x", "x", wall{}
		_, err := spoil.check()
		require.ErrorContains(t, err, want)
	}
}
