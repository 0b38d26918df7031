package mender

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"

	"assay/firmware/format"
)

func discard(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

func gzipped(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func xzed(t testing.TB, b []byte, c xz.WriterConfig) []byte {
	var out bytes.Buffer
	w, err := c.NewWriter(&out)
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func sample(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(7))
	}
	return append(b, bytes.Repeat([]byte{0}, n)...)
}

func TestXZ(t *testing.T) {
	want := sample(20_000)
	for name, c := range map[string]xz.WriterConfig{
		"crc64":           {DictCap: 1 << 16},
		"crc32":           {DictCap: 1 << 16, CheckSum: xz.CRC32},
		"sha256":          {DictCap: 1 << 16, CheckSum: xz.SHA256},
		"none":            {DictCap: 1 << 16, NoCheckSum: true},
		"multiple blocks": {DictCap: 1 << 16, BlockSize: 9_000},
	} {
		t.Run(name, func(t *testing.T) {
			packed := xzed(t, want, c)
			for form, b := range map[string][]byte{
				"one stream":           packed,
				"stream padding":       append(bytes.Clone(packed), 0, 0, 0, 0, 0, 0, 0, 0),
				"two streams":          append(bytes.Clone(packed), packed...),
				"padding between them": append(append(bytes.Clone(packed), 0, 0, 0, 0), packed...),
			} {
				got, err := io.ReadAll(newXZ(bytes.NewReader(b)))
				require.NoError(t, err, form)
				require.True(t, bytes.Equal(want, got[:len(want)]), form)
			}
			for _, cut := range []int{0, 1, 11, 12, 13, 24, 40, len(packed) / 2, len(packed) - 13, len(packed) - 1} {
				_, err := io.ReadAll(newXZ(bytes.NewReader(packed[:cut])))
				require.ErrorIs(t, err, format.ErrMalformed, "cut at %d", cut)
			}
			_, err := io.ReadAll(newXZ(bytes.NewReader(append(bytes.Clone(packed), "junk"...))))
			require.ErrorIs(t, err, format.ErrMalformed)
			if name != "none" {
				for at := range packed {
					if at > 200 && at < len(packed)-200 && at%97 != 0 {
						continue
					}
					b := bytes.Clone(packed)
					b[at] ^= 0x10
					// The last bits of a range coder carry nothing.
					got, err := io.ReadAll(newXZ(bytes.NewReader(b)))
					if err == nil {
						require.True(t, bytes.Equal(want, got), "bit of byte %d", at)
					} else {
						require.ErrorIs(t, err, format.ErrMalformed, "bit of byte %d", at)
					}
				}
			}
		})
	}
}

// TestXZDictionary wants a block refused that asks for more memory than it may have, before it gets it.
func TestXZDictionary(t *testing.T) {
	packed := xzed(t, []byte("hello"), xz.WriterConfig{DictCap: 1 << 16})
	for bits, good := range map[byte]bool{28: true, 29: false, 40: false, 41: false} {
		b := bytes.Clone(packed)
		block := b[12 : 12+4*(int(b[12])+1)]
		require.Equal(t, byte(0x21), block[2])
		block[4] = bits
		binary.LittleEndian.PutUint32(block[len(block)-4:], crc32.ChecksumIEEE(block[:len(block)-4]))
		_, err := io.ReadAll(newXZ(bytes.NewReader(b)))
		if good {
			require.NoError(t, err, "dictionary code %d", bits)
		} else {
			require.ErrorIs(t, err, format.ErrMalformed, "dictionary code %d", bits)
		}
	}
}

// TestXZAnnouncedSize holds a block against the size that its header announces, as liblzma does.
func TestXZAnnouncedSize(t *testing.T) {
	for size, good := range map[byte]bool{5: true, 4: false, 6: false} {
		b := xzed(t, []byte("hello"), xz.WriterConfig{DictCap: 1 << 16})
		block := b[12 : 12+4*(int(b[12])+1)]
		copy(block[1:], []byte{0x80, size, 0x21, 1, block[4]}) // where padding was
		binary.LittleEndian.PutUint32(block[len(block)-4:], crc32.ChecksumIEEE(block[:len(block)-4]))
		_, err := io.ReadAll(newXZ(bytes.NewReader(b)))
		if good {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, format.ErrMalformed, "%d bytes announced", size)
		}
	}
}

func FuzzXZ(f *testing.F) {
	for _, c := range []xz.WriterConfig{{DictCap: 1 << 16}, {DictCap: 1 << 16, CheckSum: xz.SHA256, BlockSize: 20}} {
		f.Add(xzed(f, sample(50), c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, done, err := decompress(XZ, bytes.NewReader(b), 1<<20)
		require.NoError(t, err)
		defer done()
		got, err := io.ReadAll(r)
		require.LessOrEqual(t, len(got), 1<<20)
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		// The library reads the same out of it.
		other, err := xz.NewReader(bytes.NewReader(b))
		require.NoError(t, err)
		want, err := io.ReadAll(other)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got))
	})
}
