package installed

import (
	"bytes"
	"crypto/rand"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"assay/probes"
)

// A pattern is found wherever it lies, across the window's edges too.
func TestSearch(t *testing.T) {
	long, short := make([]byte, 1<<20+4321), make([]byte, least)
	_, _ = rand.Read(long)
	_, _ = rand.Read(short)
	for _, at := range []int{0, 1, 1<<20 - 1, 1 << 20, 2<<20 - 100, 2 << 20, 3<<20 + 17, 5 << 20} {
		chip := bytes.Repeat([]byte{0xFF}, 7<<20)
		copy(chip[at:], long)
		copy(chip[at+len(long):], short)
		size, seen, err := search(t.Context(), iotest.HalfReader(bytes.NewReader(chip)), [][]byte{long, short, nil})
		require.NoError(t, err)
		require.EqualValues(t, len(chip), size)
		require.Equal(t, []bool{true, true, false}, seen, "at %d", at)
		chip[at+len(long)/2]++
		_, seen, err = search(t.Context(), bytes.NewReader(chip), [][]byte{long, short})
		require.NoError(t, err)
		require.Equal(t, []bool{false, true}, seen, "one byte differs, at %d", at)
	}
}

func TestPatternsAreNobodyElses(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, least-1), make([]byte, 4096), bytes.Repeat([]byte{0xFF}, 4096)} {
		require.Nil(t, pattern(probes.Image{Bytes: b}))
	}
}
