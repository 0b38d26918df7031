package rauc

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

// BenchmarkVerify verifies bundles of 256 MB from a file, as the front door does.
func BenchmarkVerify(b *testing.B) {
	p := newPKI(b, cms.PKIOptions{})
	for _, k := range []Kind{Plain, Verity} {
		b.Run(string(k), func(b *testing.B) {
			s := specOf(k, p)
			s.Payload = junk(256 << 20)
			path := filepath.Join(b.TempDir(), "bundle.raucb")
			require.NoError(b, os.WriteFile(path, build(b, s), 0o600))
			f, err := os.Open(path)
			require.NoError(b, err)
			defer f.Close()
			size, err := f.Seek(0, io.SeekEnd)
			require.NoError(b, err)
			s.Payload = nil
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				bundle, err := OpenUnverified(format.NewSource(f, size))
				require.NoError(b, err)
				_, err = bundle.Verify(trustOf(p))
				require.NoError(b, err)
			}
		})
	}
}
