package facetest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// Schemas is the environment variable that names a folder with the official schemas, at any depth. The
// schemas are their publishers': this repository holds none.
const Schemas = "ASSAY_SCHEMAS"

// Valid holds a document against an official schema, or the first one at hand of several editions, parted by |. Where that is not at hand it says so: the face's own
// test has then looked at the structure only.
func Valid(t *testing.T, document []byte, schema, module string, helpers ...string) {
	t.Helper()
	path := find(schema, module)
	if path == "" {
		t.Logf("%s is not at hand: only the structure was looked at (set %s to a folder that holds it)", schema, Schemas)
		return
	}
	compiled := compile(t, path, module, helpers)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	require.NoError(t, err)
	require.NoError(t, compiled.Validate(value), path)
}

var (
	compiling sync.Mutex
	kept      = map[string]*jsonschema.Schema{}
)

func compile(t *testing.T, path, module string, helpers []string) *jsonschema.Schema {
	t.Helper()
	compiling.Lock()
	defer compiling.Unlock()
	if kept[path] != nil {
		return kept[path]
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	main := load(t, path)
	for _, h := range helpers {
		id, file, _ := strings.Cut(h, "=")
		helper := find(file, module)
		require.NotEmpty(t, helper, "%s is at hand and %s is not", path, file)
		require.NoError(t, c.AddResource(id, load(t, helper)))
	}
	const at = "https://schema.example/main.json"
	require.NoError(t, c.AddResource(at, main))
	compiled, err := c.Compile(at)
	require.NoError(t, err, path)
	kept[path] = compiled
	return compiled
}

func load(t *testing.T, path string) any {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	require.NoError(t, err, path)
	// Its own id would make references look for it on the network.
	if m, ok := value.(map[string]any); ok {
		delete(m, "$id")
		delete(m, "id")
	}
	return value
}

// find looks for a schema, or for the next best of a list, in the named folder, then among the files of a Go module.
func find(names, module string) string {
	for name := range strings.SplitSeq(names, "|") {
		if path := findOne(name, module); path != "" {
			return path
		}
	}
	return ""
}

func findOne(name, module string) string {
	var roots []string
	if dir := os.Getenv(Schemas); dir != "" {
		roots = append(roots, dir)
	}
	if module != "" {
		if out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output(); err == nil {
			roots = append(roots, filepath.Join(strings.TrimSpace(string(out)), "schema"))
		}
	}
	found := ""
	for _, root := range roots {
		_ = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() && e.Name() == name {
				found = path
				return fs.SkipAll
			}
			return nil
		})
		if found != "" {
			break
		}
	}
	return found
}
