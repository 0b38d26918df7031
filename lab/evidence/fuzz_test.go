package evidence

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzOpen hands in bundles: whatever verifies is, byte for byte, what was sealed.
func FuzzOpen(f *testing.F) {
	p := newPair(f)
	_, path := sealRun(f, p)
	sealed, err := os.ReadFile(path)
	require.NoError(f, err)
	f.Add(sealed)
	f.Add(sealed[:len(sealed)/2])
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Add(entry{name: mimeName, size: max32}.local())
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := verifyBundle(t.Context(), bytes.NewReader(b), int64(len(b)), "", Trust{Keys: p.keys()})
		if err != nil {
			requireBroken(t, err)
			return
		}
		require.Equal(t, sealed, b)
	})
}

// FuzzJournal hands in journals: what is read is, byte for byte, what would be written.
func FuzzJournal(f *testing.F) {
	j := startRun(f, f.TempDir())
	require.NoError(f, j.Close())
	whole := read(f, j.Dir()+"/"+journalName)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte("{}\n"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseJournal(b)
		if err != nil {
			requireBroken(t, err)
			return
		}
		var again []byte
		for _, r := range c.records {
			again = append(append(again, encodeLine(r)...), '\n')
		}
		require.EqualValues(t, len(again), c.whole())
		require.Equal(t, len(b), len(again)+int(c.torn))
		require.True(t, bytes.HasPrefix(b, again))
		e := &Evidence{Records: c.records}
		if e.gather() == nil {
			_, err := e.Observations()
			require.NoError(t, err)
			_ = e.checkComplete()
		}
	})
}
