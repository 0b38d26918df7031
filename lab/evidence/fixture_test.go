package evidence

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// ticking is a clock that goes on by a second each time it is asked.
func ticking() func() time.Time {
	t := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return func() time.Time {
		t = t.Add(time.Second)
		return t
	}
}

// pair is a key pair as a lab and a stranger hold it.
type pair struct {
	private, public []byte
	signer          signature.Signer
	verifier        signature.Verifier
}

func newPair(t testing.TB) pair {
	t.Helper()
	private, public, err := GenerateKey(nil)
	require.NoError(t, err)
	s, err := ParseSigner(private, nil)
	require.NoError(t, err)
	v, err := ParseVerifier(public)
	require.NoError(t, err)
	return pair{private, public, s, v}
}

func (p pair) keys() []signature.Verifier { return []signature.Verifier{p.verifier} }

func observation(id, step string, frames *probes.Frames) probes.Observation {
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	return probes.Observation{
		ID: id, Step: step, Attempt: 1, Probe: "update/refusal", Version: "1", Unit: "u1",
		With: json.RawMessage(`{"via":"coap"}`), Start: at, End: at.Add(time.Second),
		Facts: json.RawMessage(`{"accepted":false,"says":"<no> & never"}`), Frames: frames,
	}
}

// must appends, or ends the test.
func must(t testing.TB, j *Journal, kind string, body any) {
	t.Helper()
	_, err := j.Append(kind, body)
	require.NoError(t, err)
}

// startRun writes a journal with everything but its end.
func startRun(t testing.TB, dir string) *Journal {
	t.Helper()
	j, err := Create(dir, ticking())
	require.NoError(t, err)
	must(t, j, KindBegin, map[string]any{"run": "r-1", "tool": "assay"})
	_, err = j.AddBytes("dossier.yaml", "application/yaml", []byte("assay: dossier/v1\n"))
	require.NoError(t, err)
	_, err = j.AddBytes("profile/baseline.yaml", "application/yaml", []byte("assay: profile/v1\n"))
	require.NoError(t, err)
	_, err = j.AddBytes("profile/same.yaml", "application/yaml", []byte("assay: profile/v1\n"))
	require.NoError(t, err)
	must(t, j, KindStep, Step{Step: "update/refusal{via=coap}"})
	must(t, j, KindObservation, observation("o-001", "update/refusal{via=coap}", &probes.Frames{File: "capture.pcapng", First: 1, Last: 7}))
	must(t, j, KindNote, nil)
	_, err = j.AddBytes("capture.pcapng", "application/x-pcapng", capture())
	require.NoError(t, err)
	must(t, j, KindCapture, Capture{File: "capture.pcapng", Frames: 7})
	return j
}

// capture is the capture of every run here: seven frames.
func capture() []byte { return pcapng(binary.LittleEndian, 7) }

func digestOf(b []byte) string { return digest(sha256.Sum256(b)).String() }

func sizeOf(b []byte) string { return fmt.Sprintf(`"size":%d}`, len(b)) }

// sealRun seals a finished run and returns the bundle's path.
func sealRun(t testing.TB, p pair) (dir, path string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "run")
	j := startRun(t, dir)
	must(t, j, KindEnd, map[string]any{"outcome": "finished", "capture": "capture.pcapng", "frames": 7})
	require.NoError(t, j.Close())
	path = filepath.Join(filepath.Dir(dir), "run.assay")
	require.NoError(t, Seal(t.Context(), dir, path, p.signer))
	return dir, path
}

// write puts bytes into a new file.
func write(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some.assay")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

// requireBroken demands a *Broken, and returns it.
func requireBroken(t testing.TB, err error) *Broken {
	t.Helper()
	require.ErrorIs(t, err, ErrBroken)
	var b *Broken
	require.ErrorAs(t, err, &b)
	require.NotEmpty(t, b.What)
	require.NotEmpty(t, b.Where)
	require.NotEmpty(t, b.Why)
	return b
}

// splitBundle takes a bundle apart into its entries, by our own reader.
func splitBundle(t testing.TB, b []byte) []entryBytes {
	t.Helper()
	c, err := readContainer(strings.NewReader(string(b)), int64(len(b)))
	require.NoError(t, err)
	var list []entryBytes
	for _, e := range c.entries {
		list = append(list, entryBytes{e.name, b[e.data():e.next()]})
	}
	return list
}

type entryBytes struct {
	name string
	b    []byte
}

// joinBundle writes entries as a bundle in its only form.
func joinBundle(t testing.TB, list []entryBytes) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "joined"))
	require.NoError(t, err)
	defer f.Close()
	w := &writer{f: f}
	for _, e := range list {
		require.NoError(t, w.bytes(e.name, e.b))
	}
	require.NoError(t, w.finish())
	b, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	return b
}

// rechain builds a journal of the given lines with seq and prev as they would have to be.
func rechain(t testing.TB, lines [][]byte) []byte {
	t.Helper()
	var out []byte
	prev := genesis
	for i, l := range lines {
		r, err := parseLine(l)
		require.NoError(t, err)
		r.Seq, r.Prev = uint64(i+1), prev
		line := encodeLine(r)
		again, err := parseLine(line)
		require.NoError(t, err)
		prev = again.Digest
		out = append(append(out, line...), '\n')
	}
	return out
}
