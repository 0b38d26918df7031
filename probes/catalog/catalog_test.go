package catalog_test

import (
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes/catalog"
)

// TestAll: a probe that somebody forgot to list would never be asked.
func TestAll(t *testing.T) {
	var listed, folders []string
	for _, k := range catalog.All() {
		listed = append(listed, k.Name)
	}
	assert.True(t, slices.IsSorted(listed), "in the order of their names: %v", listed)

	tree := os.DirFS("..")
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(name, "_test.go") || !strings.HasSuffix(name, ".go") {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		if err == nil && strings.Contains(string(text), "func Kind() probes.Kind") {
			folders = append(folders, path.Dir(name))
		}
		return err
	}))
	slices.Sort(folders)
	assert.Equal(t, folders, listed)
}
