package evidence

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// childVariable makes the test binary a writer that somebody else will kill, or that
// runs out of space. Its value is the run directory.
const (
	childVariable = "ASSAY_EVIDENCE_TEST_WRITER"
	modeVariable  = "ASSAY_EVIDENCE_TEST_MODE"
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == holderName {
		os.Exit(holdKey())
	}
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(writeForever(dir, os.Getenv(modeVariable)))
	}
	os.Exit(m.Run())
}

// writeForever appends records and artefacts until it is killed or the journal
// refuses, and acknowledges each on stdout with its seq and digest.
func writeForever(dir, mode string) int {
	if mode == "amend" {
		return amendForever(dir)
	}
	if err := limitSpace(dir, mode); err != nil {
		fmt.Println("unable:", err)
		return 0
	}
	run := filepath.Join(dir, "run")
	j, err := Create(run, time.Now)
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	r, err := j.Append(KindBegin, nil)
	for n := 0; err == nil; n++ {
		fmt.Printf("ack %d %s\n", r.Seq, r.Digest)
		if n%5 == 4 && mode == "" {
			if _, err = j.AddBytes(fmt.Sprintf("file-%d", n), "text/plain", []byte(strings.Repeat("x", n))); err != nil {
				break
			}
		}
		r, err = j.Append(KindNote, map[string]string{"text": strings.Repeat("x", rand.IntN(2000))})
	}
	fmt.Println("error:", err)
	_, again := j.Append(KindNote, nil)
	fmt.Println("again:", again)
	if mode == "tmpfs" {
		// The parent does not see what is mounted here, so the child reads its evidence back itself.
		e, err := Open(run)
		if err != nil {
			fmt.Println("verify:", err)
			return 1
		}
		fmt.Println("verified:", len(e.Records), e.Torn)
	}
	return 0
}

// startWriter starts the child, and ends it with the test.
func startWriter(t *testing.T, dir, mode string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+dir, modeVariable+"="+mode)
	prepareWriter(cmd, mode)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	if err := cmd.Start(); err != nil {
		t.Skipf("needs a child process of mode %q: %v", mode, err)
	}
	return cmd, bufio.NewScanner(out)
}

// TestKilledWriterLosesNothing kills a writer with SIGKILL at random moments: every
// record it was promised is there.
func TestKilledWriterLosesNothing(t *testing.T) {
	torn := 0
	for range 20 {
		dir := t.TempDir()
		cmd, lines := startWriter(t, dir, "")
		killAfter := 1 + rand.IntN(60)
		acked := map[uint64]string{}
		for lines.Scan() {
			f := strings.Fields(lines.Text())
			require.Len(t, f, 3, lines.Text())
			require.Equal(t, "ack", f[0], lines.Text())
			seq, err := strconv.ParseUint(f[1], 10, 64)
			require.NoError(t, err)
			acked[seq] = f[2]
			if len(acked) == killAfter {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		require.Error(t, cmd.Wait(), "it was killed")
		run := filepath.Join(dir, "run")
		e, err := Verify(t.Context(), run, nil)
		require.NoError(t, err)
		require.False(t, e.Sealed)
		require.GreaterOrEqual(t, len(acked), killAfter)
		for seq, digest := range acked {
			require.LessOrEqual(t, seq, uint64(len(e.Records)))
			require.Equal(t, digest, e.Records[seq-1].Digest)
		}
		if e.Torn > 0 {
			torn++
		}
		j, err := Resume(run, time.Now)
		require.NoError(t, err)
		must(t, j, KindEnd, nil)
		require.NoError(t, j.Close())
		out := filepath.Join(dir, "run.assay")
		p := newPair(t)
		require.NoError(t, Seal(t.Context(), run, out, p.signer))
		_, err = Verify(t.Context(), out, p.keys())
		require.NoError(t, err)
	}
	t.Logf("%d of 20 had a torn tail", torn)
}

// TestFullDisk lets a writer run into the end of its space.
func TestFullDisk(t *testing.T) {
	for mode, want := range map[string]string{"limit": "file too large", "tmpfs": "no space left on device"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			cmd, lines := startWriter(t, dir, mode)
			acked, said := 0, map[string]string{}
			for lines.Scan() {
				word, rest, _ := strings.Cut(lines.Text(), " ")
				if word == "ack" {
					acked++
				}
				said[word] = rest
			}
			require.NoError(t, cmd.Wait(), said)
			if why, ok := said["unable:"]; ok {
				t.Skip("needs limited space: " + why)
			}
			require.Contains(t, said["error:"], want)
			require.Contains(t, said["error:"], ErrJournal.Error())
			require.Contains(t, said["again:"], ErrJournal.Error())
			require.Greater(t, acked, 2)
			if mode == "tmpfs" {
				require.Contains(t, said, "verified:")
				require.Equal(t, strconv.Itoa(acked), strings.Fields(said["verified:"])[0])
				return
			}
			e, err := Verify(t.Context(), filepath.Join(dir, "run"), nil)
			require.NoError(t, err)
			require.Len(t, e.Records, acked)
			require.NotZero(t, e.Torn)
		})
	}
}
