package evidence

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
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
	require.NoError(tb, Seal(tb.Context(), j.Dir(), path, p.signer))
	return path
}

// sizeVariable overrides how many MiB BenchmarkVerify verifies; ASSAY_BENCH_MIB=2048 is what the README tells of.
const sizeVariable = "ASSAY_BENCH_MIB"

// plainSHA256 is how long one thread takes for the same bytes through SHA-256 once.
func plainSHA256(tb testing.TB, path string) time.Duration {
	tb.Helper()
	start := time.Now()
	f, err := os.Open(path)
	require.NoError(tb, err)
	_, err = io.CopyBuffer(onlyWriter{sha256.New()}, &stoppable{tb.Context(), f}, make([]byte, copyBuffer))
	require.NoError(tb, err)
	require.NoError(tb, f.Close())
	return time.Since(start)
}

// BenchmarkVerify compares verification with reading the same bytes through SHA-256 once, in turns.
func BenchmarkVerify(b *testing.B) {
	if testing.Short() {
		b.Skip("large")
	}
	size := int64(256)
	if s := os.Getenv(sizeVariable); s != "" {
		var err error
		size, err = strconv.ParseInt(s, 10, 32)
		require.NoError(b, err)
	}
	p := newPair(b)
	path := largeRun(b, p, size<<20)
	info, err := os.Stat(path)
	require.NoError(b, err)
	b.SetBytes(info.Size())
	var plain time.Duration
	var heap uint64
	for b.Loop() {
		_, err := Verify(b.Context(), path, p.keys())
		require.NoError(b, err)
		b.StopTimer()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = max(heap, m.Sys)
		plain += plainSHA256(b, path)
		b.StartTimer()
	}
	b.ReportMetric(100*float64(plain)/float64(b.Elapsed()), "%-of-sha256")
	b.ReportMetric(float64(heap)/1e6, "MB-of-system")
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
