package analyze

import (
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkBesideTshark reads one mixed capture with both programs, in one run.
func BenchmarkBesideTshark(b *testing.B) {
	path, packets := generate(b, 300_000)
	var ours time.Duration
	for b.Loop() {
		start := time.Now()
		a, err := File(b.Context(), path, Options{})
		require.NoError(b, err)
		require.EqualValues(b, packets, a.Capture.Packets)
		if took := time.Since(start); ours == 0 || took < ours {
			ours = took
		}
	}
	rate := float64(packets) / ours.Seconds()
	b.ReportMetric(rate, "packets/s")
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		b.Log("no tshark to compare with: apt-get install tshark")
		return
	}
	start := time.Now()
	require.NoError(b, exec.CommandContext(b.Context(), tshark, "-n", "-r", path, "-q", "-z", "io,phs").Run())
	theirs := float64(packets) / time.Since(start).Seconds()
	b.ReportMetric(theirs, "tshark-packets/s")
	b.ReportMetric(rate/theirs, "times-tshark")
	b.Logf("%d packets: analyze %.0f packets/s, tshark %.0f packets/s: %.1f times", packets, rate, theirs, rate/theirs)
}

// TestMemoryStaysFlat holds ten times the packets against the same bound: the heap while they are read.
func TestMemoryStaysFlat(t *testing.T) {
	most := func(atLeast int) (peak uint64) {
		path, _ := generate(t, atLeast)
		runtime.GC()
		var m runtime.MemStats
		_, err := File(t.Context(), path, Options{Progress: func(read int64) {
			if read>>20%8 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapInuse)
			}
		}})
		require.NoError(t, err)
		return peak
	}
	small, large := most(30_000), most(300_000)
	t.Logf("heap in use: %d kB for 30,000 packets, %d kB for 300,000", small>>10, large>>10)
	require.Less(t, large, small+24<<20, "the tables of flows, sessions and exchanges are bounded")
}
