package suit

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// large writes an envelope with an integrated payload of zeros to a file.
func large(t testing.TB, size int64) *os.File {
	k, _ := Digest{SHA256, make([]byte, 32)}.kind()
	value, err := sum(k, io.LimitReader(zeros{}, size))
	require.NoError(t, err)
	shared := []any{dirOverride, entry{paramDigest: Digest{SHA256, value}.encode(), paramSize: size}}
	d := &draft{tagged: true, alg: SHA256, manifest: encode(byHand(shared, []any{dirOverride, entry{paramURI: "#a"}, dirFetch, 2, condImage, 15}))}
	require.NoError(t, d.redigest())
	blk, err := signBlock(d.digest, key(t, "p256"), nil, false)
	require.NoError(t, err)
	d.blocks = [][]byte{blk}
	d.members = []part{{encode("#a"), nil}}
	head := d.bytes()
	head = append(head[:len(head)-1], writeHead(majorBytes, uint64(size))...)
	f, err := os.Create(filepath.Join(t.TempDir(), "large.suit"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	_, err = f.Write(head)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(int64(len(head))+size))
	return f
}

// BenchmarkVerify is to be read beside BenchmarkSHA256 of the same file in the same run.
func BenchmarkVerify(b *testing.B) {
	f := large(b, 256<<20)
	info, err := f.Stat()
	require.NoError(b, err)
	b.SetBytes(info.Size())
	b.ReportAllocs()
	for b.Loop() {
		_, err := Open(format.Input{Source: format.NewSource(f, info.Size())}, trust(b, "p256"))
		require.NoError(b, err)
	}
}

func BenchmarkSHA256(b *testing.B) {
	f := large(b, 256<<20)
	info, err := f.Stat()
	require.NoError(b, err)
	b.SetBytes(info.Size())
	for b.Loop() {
		h := sha256.New()
		_, err := io.CopyBuffer(struct{ io.Writer }{h}, io.NewSectionReader(f, 0, info.Size()), make([]byte, 1<<18))
		require.NoError(b, err)
	}
}
