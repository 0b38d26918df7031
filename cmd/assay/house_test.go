package main

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"assay/probes/catalog"
	"assay/profiles"
)

// root is the project's top folder as seen from this test.
const root = "../.."

// floors are the rooms from the roof down: a package may import its own floor and
// those below, never one above.
var floors = []string{"assay/cmd", "assay/reports", "assay/lab", "assay/profiles", "assay/probes", "assay/firmware"}

// forbidden are the laws beside the floors.
var forbidden = []struct{ from, to, why string }{
	{"assay/lab", "assay/probes/catalog", "the runner must not know the questions: it could favour one"},
	{"assay/lab", "assay/reports", "the runner must not judge"},
	{"assay/profiles", "assay/probes/catalog", "data names probes; whoever loads it brings the catalogue"},
	{"assay/probes", "net", "a probe receives instruments and never dials for itself"},
	{"assay/probes", "net/http", "a probe receives instruments and never dials for itself"},
	{"assay/reports/verdict", "time/tzdata", "the judge is pure"},
	{"assay/reports/verdict", "os", "the judge is pure: it reads nothing but its arguments"},
	{"assay/reports/verdict", "net", "the judge is pure: it reads nothing but its arguments"},
}

type pkg struct {
	ImportPath string
	Name       string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// packages asks the go command, so that build tags and generated files count as they do in a build.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Imports,GoFiles", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	require.NoError(t, err, "go list")
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
	require.Greater(t, len(all), 10)
	return all
}

func within(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func floor(path string) int {
	return slices.IndexFunc(floors, func(f string) bool { return within(path, f) })
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, p := range packages(t) {
		own := floor(p.ImportPath)
		require.GreaterOrEqual(t, own, 0, "%s stands on no floor", p.ImportPath)
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "assay/") && floor(i) < own {
				t.Errorf("%s imports %s: imports go down only (%s)", p.ImportPath, i, strings.Join(floors, " -> "))
			}
			for _, law := range forbidden {
				if within(p.ImportPath, law.from) && i == law.to && p.Name != "probetest" {
					t.Errorf("%s imports %s: %s", p.ImportPath, i, law.why)
				}
			}
			if within(p.ImportPath, "assay/firmware") && strings.HasPrefix(i, "assay/") && !within(i, "assay/firmware") {
				t.Errorf("%s imports %s: firmware must be usable and checkable alone", p.ImportPath, i)
			}
		}
	}
}

func TestProbesImportContractAndFirmwareOnly(t *testing.T) {
	// What a family of probes shares lies in the family's own folder, one level below probes.
	helper := regexp.MustCompile(`^assay/probes/(credentials|firmware|tls|update|wipe)$`)
	for _, k := range catalog.All() {
		path := "assay/probes/" + k.Name
		for _, p := range packages(t) {
			if p.ImportPath != path {
				continue
			}
			for _, i := range p.Imports {
				ours := strings.HasPrefix(i, "assay/")
				if ours && i != "assay/probes" && !helper.MatchString(i) && !within(i, "assay/firmware") {
					t.Errorf("%s imports %s: a probe imports the contract, a family's shared code and firmware only", path, i)
				}
			}
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for _, p := range packages(t) {
		var with []string
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			require.NoError(t, err)
			if f.Doc != nil {
				with = append(with, name)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s has %d package comments %v, want exactly one that says what it is for and what it never does", p.ImportPath, len(with), with)
		}
	}
}

// eachSource visits every Go file that is not a test.
func eachSource(t *testing.T, visit func(path string, src []byte)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "assay-runs") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(path, src)
		return nil
	}))
}

func TestFilesAndFunctionsStayReadable(t *testing.T) {
	const fileMost, funcMost = 400, 80
	eachSource(t, func(path string, src []byte) {
		if n := strings.Count(string(src), "\n"); n > fileMost {
			t.Errorf("%s has %d lines, at most %d: split it by concern", path, n, fileMost)
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, src, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			if lines := set.Position(fn.End()).Line - set.Position(fn.Pos()).Line + 1; lines > funcMost {
				t.Errorf("%s: %s has %d lines, at most %d: give its parts names", path, fn.Name.Name, lines, funcMost)
			}
			return true
		})
	})
}

func TestHouseHabits(t *testing.T) {
	habits := []struct {
		name, why string
		pattern   *regexp.Regexp
		allowed   func(path string) bool
	}{
		{"background context", "only cmd starts a context: everything else gets its deadline from above", regexp.MustCompile(`context\.(Background|TODO)\(\)`), in("cmd/")},
		{"wall clock", "only bench and cmd read the clock: everything else gets it from the bench", regexp.MustCompile(`\btime\.Now\b`), in("cmd/", "lab/bench/", "probes/probetest/")},
		{"init", "no init: registration is an ordered list", regexp.MustCompile(`(?m)^func init\(\)`), in()},
		{"stub", "no promise in code: build it or say in the output that it is missing", regexp.MustCompile(`TODO|FIXME|XXX|not implemented|not built yet`), in()},
		{"failed to", "errors name operation and object", regexp.MustCompile(`"failed to `), in()},
	}
	eachSource(t, func(path string, src []byte) {
		name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		for _, h := range habits {
			if at := h.pattern.FindIndex(src); at != nil && !h.allowed(name) {
				t.Errorf("%s:%d: %s: %s", name, 1+strings.Count(string(src[:at[0]]), "\n"), h.name, h.why)
			}
		}
	})
}

func in(rooms ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(rooms, func(r string) bool { return strings.HasPrefix(path, r) })
	}
}

// TestEveryProbeIsUsed walks from folder to catalogue to check to standard: what a
// newcomer forgot is named here.
func TestEveryProbeIsUsed(t *testing.T) {
	var names []string
	for _, k := range catalog.All() {
		names = append(names, k.Name)
		require.True(t, strings.HasSuffix(k.Asks, "?"), "%s asks %q, which is no question", k.Name, k.Asks)
	}
	family := regexp.MustCompile(`^assay/probes/([a-z]+/[a-z0-9]+)$`)
	for _, p := range packages(t) {
		if m := family.FindStringSubmatch(p.ImportPath); m != nil && !slices.Contains(names, m[1]) {
			t.Errorf("%s is not in probes/catalog: add its line", p.ImportPath)
		}
	}
	// Every probe is used by a check, and every check by a standard.
	schemas, err := profiles.Schemas(catalog.All())
	require.NoError(t, err)
	require.NoError(t, profiles.Lint(profiles.Embedded(), schemas))
}

func TestTopLevelHoldsSixRooms(t *testing.T) {
	allowed := []string{"cmd", "probes", "profiles", "firmware", "lab", "reports", "go.mod", "go.sum", "README.md", "LICENSE", "assay-runs"}
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s stands at the top level: it belongs into a room", e.Name())
		}
	}
}
