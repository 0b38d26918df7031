package scan

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var needles = []Needle{{"-----BEGIN ", 0}, {"hsqs", 0}, {"ustar", 257}, {"AKIA", 0}, {"AKIAQQQQ", 0}, {"\x00\x00\x00\x07ssh-rsa", 0}}

func scanned(t testing.TB, b []byte, each func(int64, []byte)) []Hit {
	table, err := New(needles)
	require.NoError(t, err)
	var out []Hit
	require.NoError(t, table.Read(context.Background(), iotest.HalfReader(bytes.NewReader(b)), each, func(h Hit) error { out = append(out, h); return nil }))
	return out
}

// naive looks for each needle at each place.
func naive(b []byte) (out []Hit) {
	for i := range b {
		for n, needle := range needles {
			if bytes.HasPrefix(b[i:], []byte(needle.Text)) && int64(i) >= needle.Back {
				out = append(out, Hit{int64(i) - needle.Back, n})
			}
		}
	}
	return out
}

func TestRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 3, 4, 11, 300, chunk - 5, chunk, chunk + 3, 2*chunk + 17} {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		for range 20 {
			if size > 20 {
				copy(b[r.IntN(size):], needles[r.IntN(len(needles))].Text)
			}
		}
		if size > chunk { // across the border of two reads
			copy(b[chunk-4:], "AKIAQQQQ")
			copy(b[size-4:], "hsqs")
		}
		var seen bytes.Buffer
		got := scanned(t, b, func(at int64, part []byte) {
			assert.EqualValues(t, seen.Len(), at)
			seen.Write(part)
		})
		want := naive(b)
		for _, list := range [][]Hit{got, want} {
			slices.SortFunc(list, func(a, b Hit) int { return int(a.Offset-b.Offset)*100 + a.Needle - b.Needle })
		}
		require.Equal(t, want, got, "%d bytes", size)
		require.True(t, bytes.Equal(b, seen.Bytes()))
	}
}

func TestErrors(t *testing.T) {
	_, err := New([]Needle{{"abc", 0}})
	require.ErrorIs(t, err, ErrNeedle)
	table, err := New(needles)
	require.NoError(t, err)
	stop := errors.New("enough")
	require.ErrorIs(t, table.Read(context.Background(), strings.NewReader("xxhsqsxxxx"), nil, func(Hit) error { return stop }), stop)
	require.Error(t, table.Read(context.Background(), iotest.ErrReader(stop), nil, nil))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, table.Read(ctx, strings.NewReader("x"), nil, nil), context.Canceled)
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("-----BEGIN AKIAQQQQ hsqs"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, want := scanned(t, b, nil), naive(b)
		if len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}
