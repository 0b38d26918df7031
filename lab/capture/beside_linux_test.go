package capture

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	paceFrames = 300_000
	paceRate   = 150_000 // frames per second
)

// paced sends frames at a rate and tells how long it took.
func paced(t *testing.T, send func([]byte) error) time.Duration {
	t.Helper()
	frame := numbered(t, 86)
	began := time.Now()
	for n := 0; n < paceFrames; {
		for due := int(time.Since(began).Seconds() * paceRate); n < min(due, paceFrames); n++ {
			require.NoError(t, send(frame(uint64(n))))
		}
	}
	return time.Since(began)
}

// TestPacedOurs and TestPacedDumpcap are the insides of BenchmarkBesideDumpcap: the same frames at the same rate.
func TestPacedOurs(t *testing.T) {
	if os.Getenv(inside) == "" {
		return
	}
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c := start(t, path)
	from := mark(t, c)
	took := paced(t, send)
	to := mark(t, c)
	fmt.Printf("paced: %d of %d written in %d ns\n", to.Frame-from.Frame, paceFrames, took.Nanoseconds())
}

func TestPacedDumpcap(t *testing.T) {
	if os.Getenv(inside) == "" {
		return
	}
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	cmd := exec.CommandContext(t.Context(), "dumpcap", "-q", "-B", "32", "-i", "bench0", "-w", path)
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(said)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "File: ") {
	}
	require.NoError(t, lines.Err())
	took := paced(t, send)
	// It writes what it holds now and then; what it has lost never comes.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); <-tick.C {
		if tally, err := Count(path); err == nil && tally.Frames >= paceFrames {
			break
		}
	}
	require.NoError(t, cmd.Process.Signal(unix.SIGINT))
	for lines.Scan() {
	}
	_ = cmd.Wait()
	tally, err := Count(path)
	require.NoError(t, err)
	fmt.Printf("paced: %d of %d written in %d ns\n", min(tally.Frames, paceFrames), paceFrames, took.Nanoseconds())
}

// BenchmarkBesideDumpcap captures 300,000 frames at 150,000 a second over a cable, by turns with dumpcap, ring against ring of 32 MiB.
func BenchmarkBesideDumpcap(b *testing.B) {
	if _, err := exec.LookPath("dumpcap"); err != nil {
		b.Skip("needs dumpcap: apt-get install wireshark-common")
	}
	var written, rate [2]float64
	rounds := 0.0
	for b.Loop() {
		for i, who := range []string{"Ours", "Dumpcap"} {
			out := enter(b, "^TestPaced"+who+"$")
			_, line, _ := strings.Cut(out, "paced: ")
			var w, of, ns float64
			_, err := fmt.Sscanf(line, "%f of %f written in %f ns", &w, &of, &ns)
			require.NoError(b, err, out)
			written[i] += w
			rate[i] += of / ns * 1e9
		}
		rounds++
	}
	sent := rounds * paceFrames
	b.ReportMetric(rate[0]/rounds, "packets/s")
	b.ReportMetric(rate[1]/rounds, "dumpcap-packets/s")
	b.ReportMetric(sent-written[0], "lost")
	b.ReportMetric(sent-written[1], "dumpcap-lost")
	b.ReportMetric(written[0]/written[1], "of-dumpcap's-frames")
	b.ReportMetric(0, "ns/op") // of both programs together: it says nothing
}
