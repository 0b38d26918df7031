package evidence

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLargeArchive lays out a bundle with a file of 5 GiB and a header behind it, as
// a file with a hole, and lets our reader and another one read its headers.
func TestLargeArchive(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs files with holes")
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "large.assay"))
	require.NoError(t, err)
	defer f.Close()
	var at uint64
	var list []entry
	for _, e := range []entry{
		{name: mimeName, size: 7}, {name: journalName, size: 9},
		{name: filesName + "/" + strings.Repeat("00", 32), size: 5 << 30, crc: 1},
		{name: filesName + "/" + strings.Repeat("11", 32), size: max32, crc: 2},
		{name: filesName + "/" + strings.Repeat("22", 32), size: max32 - 1, crc: 3},
		{name: treeName, size: 11}, {name: sealName, size: 13},
	} {
		e.offset = at
		_, err := f.WriteAt(e.local(), int64(at))
		require.NoError(t, err)
		at = e.next()
		list = append(list, e)
	}
	if _, err := f.Seek(int64(at), 0); err != nil {
		t.Skipf("needs a file system for large files: %v", err)
	}
	w := &writer{f: f, at: at, entries: list}
	require.NoError(t, w.finish())
	info, err := f.Stat()
	require.NoError(t, err)

	c, err := readContainer(f, info.Size())
	require.NoError(t, err)
	require.Equal(t, list, c.entries)
	z, err := zip.NewReader(f, info.Size())
	require.NoError(t, err)
	require.Len(t, z.File, len(list))
	for i, e := range list {
		require.Equal(t, e.name, z.File[i].Name)
		require.Equal(t, e.size, z.File[i].UncompressedSize64)
		offset, err := z.File[i].DataOffset()
		require.NoError(t, err)
		require.EqualValues(t, e.data(), offset)
	}
}

// TestManyEntries crosses the number of entries that the plain end record can count.
func TestManyEntries(t *testing.T) {
	require.Len(t, ending(max16, 1<<33, 1<<20), 56+20+22)
	require.Len(t, ending(max16-1, max32-1, 7), 22)
	list := []entryBytes{{mimeName, nil}, {journalName, nil}}
	for n := range max16 {
		list = append(list, entryBytes{fmt.Sprintf("%s/%064x", filesName, n), nil})
	}
	b := joinBundle(t, append(list, entryBytes{treeName, nil}, entryBytes{sealName, nil}))
	c, err := readContainer(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	require.Len(t, z.File, len(c.entries))
}
