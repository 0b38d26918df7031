package analyze

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inside names the file that this process is only to analyze.
const inside = "ASSAY_ANALYZE_TEST_FILE"

// TestInside is what BenchmarkBesideTshark runs as a process of its own.
func TestInside(t *testing.T) {
	if path := os.Getenv(inside); path != "" {
		_, err := File(t.Context(), path, Options{})
		require.NoError(t, err)
	}
}

// spent is the least that a program took, by the clock and on the processors. The second says more on a busy machine.
type spent struct{ clock, processors time.Duration }

func (s *spent) run(b *testing.B, cmd *exec.Cmd) {
	start := time.Now()
	require.NoError(b, cmd.Run())
	clock, processors := time.Since(start), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if s.clock == 0 {
		*s = spent{clock, processors}
	}
	s.clock, s.processors = min(s.clock, clock), min(s.processors, processors)
}

// BenchmarkBesideTshark reads one mixed capture with both programs in one run, process beside process, by turns.
func BenchmarkBesideTshark(b *testing.B) {
	path, packets := generate(b, 300_000)
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		b.Log("no tshark to compare with: apt-get install tshark")
	}
	self, err := os.Executable()
	require.NoError(b, err)
	var ours, theirs spent
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), self, "-test.run=^TestInside$")
		cmd.Env = append(os.Environ(), inside+"="+path, "GOCOVERDIR="+b.TempDir())
		ours.run(b, cmd)
		if tshark != "" {
			theirs.run(b, exec.CommandContext(b.Context(), tshark, "-n", "-r", path, "-q", "-z", "io,phs"))
		}
	}
	rate := func(d time.Duration) float64 { return float64(packets) / d.Seconds() }
	b.ReportMetric(rate(ours.clock), "packets/s")
	b.ReportMetric(rate(ours.processors), "packets/cpu-s")
	if tshark != "" {
		b.ReportMetric(rate(theirs.clock), "tshark-packets/s")
		b.ReportMetric(theirs.clock.Seconds()/ours.clock.Seconds(), "times-tshark")
		b.ReportMetric(theirs.processors.Seconds()/ours.processors.Seconds(), "times-tshark-cpu")
	}
	b.ReportMetric(0, "ns/op") // of both programs together: it says nothing
}

// TestMemoryStaysFlat holds ten times the packets against the same bound: the heap while they are read.
func TestMemoryStaysFlat(t *testing.T) {
	if racing {
		t.Skip("the race detector's own memory is not what is measured")
	}
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
