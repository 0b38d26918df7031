package evidence

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// largeRun seals a run with one artefact of n bytes.
func largeRun(tb testing.TB, p pair, n int64) string {
	tb.Helper()
	dir := tb.TempDir()
	capture := filepath.Join(dir, "capture.pcapng")
	f, err := os.Create(capture)
	require.NoError(tb, err)
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 7)
	}
	for at := int64(0); at < n; at += int64(len(block)) {
		_, err := f.Write(block[:min(int64(len(block)), n-at)])
		require.NoError(tb, err)
	}
	require.NoError(tb, f.Close())
	j, err := Create(filepath.Join(dir, "run"), ticking())
	require.NoError(tb, err)
	must(tb, j, KindBegin, nil)
	_, err = j.AddFile("capture.pcapng", "application/x-pcapng", capture)
	require.NoError(tb, err)
	must(tb, j, KindEnd, nil)
	require.NoError(tb, j.Close())
	path := filepath.Join(dir, "run.assay")
	require.NoError(tb, Seal(tb.Context(), j.Dir(), path, p.signer, nil))
	return path
}

// BenchmarkVerify compares verification with reading the same bytes through SHA-256 once.
func BenchmarkVerify(b *testing.B) {
	p := newPair(b)
	path := largeRun(b, p, 256<<20)
	info, err := os.Stat(path)
	require.NoError(b, err)
	b.SetBytes(info.Size())
	var plain time.Duration
	for b.Loop() {
		_, err := Verify(b.Context(), path, p.keys())
		require.NoError(b, err)
		b.StopTimer()
		start := time.Now()
		f, err := os.Open(path)
		require.NoError(b, err)
		_, err = io.CopyBuffer(onlyWriter{sha256.New()}, &stoppable{b.Context(), f}, make([]byte, copyBuffer))
		require.NoError(b, err)
		require.NoError(b, f.Close())
		plain += time.Since(start)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(plain), "x-plain-sha256")
}

// BenchmarkAppend tells how long a record takes until it is on the disk.
func BenchmarkAppend(b *testing.B) {
	j, err := Create(b.TempDir(), ticking())
	require.NoError(b, err)
	defer j.Close()
	must(b, j, KindBegin, nil)
	for b.Loop() {
		must(b, j, KindNote, map[string]string{"text": "a note"})
	}
}

// TestMemoryStaysFlat seals and verifies artefacts of two sizes and compares what was allocated.
func TestMemoryStaysFlat(t *testing.T) {
	p := newPair(t)
	allocated := func(n int64) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		path := largeRun(t, p, n)
		_, err := Verify(t.Context(), path, p.keys())
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	small, large := allocated(1<<20), allocated(64<<20)
	require.Less(t, large, small+8<<20, fmt.Sprintf("%d bytes for 1 MiB, %d for 64 MiB", small, large))
}
