package search

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkScan searches for 32 canaries in all encodings, and reports how its rate
// compares with one bytes.Index for one fixed string over the same bytes.
func BenchmarkScan(b *testing.B) {
	random := make([]byte, 32<<20)
	r := rand.New(rand.NewPCG(5, 6))
	for i := 0; i < len(random); i += 8 {
		binary.LittleEndian.PutUint64(random[i:], r.Uint64())
	}
	text := []byte(strings.Repeat("Oct 12 10:11:12 thermostat systemd[1]: Started session 4711 of user root.\n", len(random)/74))
	for name, data := range map[string][]byte{"random": random, "log": text, "erased": bytes.Repeat([]byte{0xff}, len(random))} {
		for _, length := range []int{6, 16} {
			b.Run(fmt.Sprintf("%s/%d_bytes", name, length), func(b *testing.B) {
				secrets := map[string]string{}
				for i := range 32 {
					secrets[fmt.Sprint(i)] = fmt.Sprintf("%016x", r.Uint64())[:length]
				}
				s := searcher(b, secrets)
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				start, n := time.Now(), 0
				for b.Loop() {
					_, err := s.Scan(b.Context(), bytes.NewReader(data))
					require.NoError(b, err)
					n++
				}
				ours := time.Since(start) / time.Duration(n)
				index := time.Duration(1 << 62)
				for range 5 {
					start = time.Now()
					require.Equal(b, -1, bytes.Index(data, []byte("canary-0123456789")))
					index = min(index, time.Since(start))
				}
				b.ReportMetric(float64(index)/float64(ours), "of-index-rate")
			})
		}
	}
}

// BenchmarkBesideRipgrep searches a file of 256 MB for 32 canaries in all encodings, in turns
// with ripgrep for one fixed string in the same file, and reports what share of its rate that is.
func BenchmarkBesideRipgrep(b *testing.B) {
	rg, err := exec.LookPath("rg")
	if err != nil {
		b.Skip("needs rg (Debian: ripgrep)")
	}
	const size = 256 << 20
	r := rand.New(rand.NewPCG(5, 6))
	random := make([]byte, size)
	for i := 0; i < len(random); i += 8 {
		binary.LittleEndian.PutUint64(random[i:], r.Uint64())
	}
	text := bytes.Repeat([]byte("Oct 12 10:11:12 thermostat systemd[1]: Started session 4711 of user root.\n"), size/74)
	secrets := map[string]string{}
	for i := range 32 {
		secrets[fmt.Sprint(i)] = fmt.Sprintf("%016x", r.Uint64())
	}
	s := searcher(b, secrets)
	for name, data := range map[string][]byte{"random": random, "log": text} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "dump.bin")
			require.NoError(b, os.WriteFile(path, data, 0o600))
			ours, theirs := time.Duration(1<<62), time.Duration(1<<62)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for range 5 {
					start := time.Now()
					err := exec.Command(rg, "--text", "--count", "--fixed-strings", "canary-0123456789", path).Run()
					theirs = min(theirs, time.Since(start))
					var none *exec.ExitError
					require.ErrorAs(b, err, &none) // 1: not there
					require.Equal(b, 1, none.ExitCode())
					f, err := os.Open(path)
					require.NoError(b, err)
					start = time.Now()
					hits, err := s.ScanAt(b.Context(), f, int64(len(data)))
					ours = min(ours, time.Since(start))
					require.NoError(b, err)
					require.Empty(b, hits)
					require.NoError(b, f.Close())
				}
			}
			b.ReportMetric(100*float64(theirs)/float64(ours), "%-of-ripgrep")
			b.ReportMetric(float64(size>>20)/ours.Seconds(), "MB/s-best")
		})
	}
}
