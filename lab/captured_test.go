package lab

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/evidence"
	"assay/probes"
)

// pcapng is a capture of so many empty frames and so many lost ones.
func pcapng(frames int, lost uint64) []byte {
	le := binary.LittleEndian
	block := func(kind uint32, words ...uint32) []byte {
		length := uint32(12 + 4*len(words))
		b := le.AppendUint32(le.AppendUint32(nil, kind), length)
		for _, w := range words {
			b = le.AppendUint32(b, w)
		}
		return le.AppendUint32(b, length)
	}
	b := append(block(0x0A0D0D0A, 0x1A2B3C4D, 1, 0xffffffff, 0xffffffff), block(1, 1, 0)...)
	for range frames {
		b = append(b, block(6, 0, 0, 0, 0, 0)...)
	}
	// isb_osdrop (draft-ietf-opsawg-pcapng, section 4.6)
	return append(b, block(5, 0, 0, 0, 7|8<<16, uint32(lost), 0, 0)...) //nolint:gosec // small
}

func TestFilesThatAKilledRunLeft(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string][]byte
		cited uint64
		want  map[string]evidence.Capture
		fault string
	}{
		"one file": {
			map[string][]byte{"capture.pcapng": pcapng(5, 3)}, 5,
			map[string]evidence.Capture{"capture.pcapng": {File: "capture.pcapng", Frames: 5, Dropped: 3}}, "",
		},
		"several": {
			map[string][]byte{
				"capture.pcapng": pcapng(5, 1), "capture.00002.pcapng": pcapng(4, 3), "capture.00003.pcapng": pcapng(2, 3)[:100],
				"capture-u2.pcapng": pcapng(1, 0), "capture-2.pcapng": pcapng(9, 9), "capture-2.00002.pcapng": pcapng(9, 9),
			}, 10,
			map[string]evidence.Capture{
				"capture.pcapng": {File: "capture.pcapng", Frames: 10, Dropped: 3, Cut: true, Parts: []evidence.Part{
					{File: "capture.pcapng", Frames: 5}, {File: "capture.00002.pcapng", Frames: 4}, {File: "capture.00003.pcapng", Frames: 1},
				}},
				"capture-u2.pcapng": {File: "capture-u2.pcapng", Frames: 1},
			}, "",
		},
		"a frame is missing": {
			map[string][]byte{"capture.pcapng": pcapng(5, 0), "capture.00002.pcapng": pcapng(4, 0)}, 10, nil, "it holds 9 whole frames, but observation o-001 cites frame 10",
		},
		"the first is missing": {
			map[string][]byte{"capture.00002.pcapng": pcapng(4, 0)}, 4, nil, "capture.00002.pcapng goes on with it, but it is not in the run's folder",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			j, err := evidence.Create(dir, time.Now)
			require.NoError(t, err)
			_, err = j.Append(evidence.KindBegin, Begin{Run: "r"})
			require.NoError(t, err)
			for file, b := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), b, 0o600))
			}
			ev, err := evidence.Open(dir)
			require.NoError(t, err)
			in := &Inputs{Observations: []probes.Observation{{ID: "o-001", Frames: &probes.Frames{File: "capture.pcapng", First: 1, Last: c.cited}}}}
			err = KeepLeg(j, ev, in, filepath.Join(dir, "capture-2.pcapng"))
			if c.fault != "" {
				require.ErrorContains(t, err, c.fault)
				return
			}
			require.NoError(t, err)
			require.NoError(t, j.Close())
			ev, err = evidence.Open(dir)
			require.NoError(t, err)
			got := map[string]evidence.Capture{}
			for _, r := range ev.Records {
				if r.Kind == evidence.KindCapture {
					var one evidence.Capture
					require.NoError(t, json.Unmarshal(r.Body, &one))
					got[one.File] = one
				}
			}
			assert.Equal(t, c.want, got)
			_, excepted := ev.Find("capture-2.00002.pcapng")
			assert.False(t, excepted, "the bench that is up still writes it")
		})
	}
}

// A run may be killed while it writes a block: what is left is sealed, wherever the file ends, with the frames that are whole.
func TestTornCaptureIsSealed(t *testing.T) {
	whole := pcapng(3, 0)
	dir := t.TempDir()
	private, _, err := evidence.GenerateKey(nil)
	require.NoError(t, err)
	key := filepath.Join(dir, "lab.key")
	require.NoError(t, os.WriteFile(key, private, 0o600))
	signer, err := evidence.LoadSigner(key, nil)
	require.NoError(t, err)
	_, verifier, err := evidence.Public(signer)
	require.NoError(t, err)
	var frames uint64
	for n := range len(whole) + 1 {
		run := filepath.Join(dir, strconv.Itoa(n))
		j, err := evidence.Create(run, time.Now)
		require.NoError(t, err)
		_, err = j.Append(evidence.KindBegin, Begin{Run: "r"})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(run, "capture.pcapng"), whole[:n], 0o600))
		ev, err := evidence.Open(run)
		require.NoError(t, err)
		require.NoError(t, KeepLeg(j, ev, &Inputs{}))
		_, err = j.Append(evidence.KindEnd, End{Outcome: Finished})
		require.NoError(t, err)
		require.NoError(t, j.Close())
		file := filepath.Join(run, "r.assay")
		require.NoError(t, evidence.Seal(t.Context(), run, file, signer), "%d of %d bytes", n, len(whole))
		ev, err = evidence.Verify(t.Context(), file, []signature.Verifier{verifier})
		require.NoError(t, err, "%d of %d bytes", n, len(whole))
		in := &Inputs{}
		require.NoError(t, in.records(ev))
		require.GreaterOrEqual(t, in.Captures[0].Frames, frames)
		frames = in.Captures[0].Frames
	}
	require.EqualValues(t, 3, frames)
}
