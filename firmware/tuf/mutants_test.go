package tuf

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// endless is a folder of which one file never ends.
type endless struct {
	fstest.MapFS
	name string
}

func (e endless) Open(name string) (fs.File, error) {
	f, err := e.MapFS.Open(name)
	if err == nil && name == e.name {
		return blanks{f}, nil
	}
	return f, err
}

type blanks struct{ fs.File }

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestMutants changes good folders in 10,000 ways each. One may verify only if what is signed
// in every file, and every target, is the same as before.
func TestMutants(t *testing.T) {
	count := 10_000
	if testing.Short() {
		count = 500
	}
	for _, g := range goods(t) {
		if g.name != "ed25519" && g.name != "delegated" && g.name != "uptane" {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(1, uint64(len(g.name))))
			names := slices.Sorted(maps.Keys(g.files))
			count := count
			if g.name != "ed25519" { // the parsers are the same
				count /= 4
			}
			for i := range count {
				files := maps.Clone(g.files)
				for range 1 + r.IntN(2) {
					file := names[r.IntN(len(names))]
					if files[file] = mutate(r, bytes.Clone(files[file])); r.IntN(40) == 0 {
						delete(files, file)
					}
				}
				img, err := OpenUnverified(folder(files))
				if err != nil {
					require.ErrorIs(t, err, format.ErrMalformed)
					continue
				}
				report, err := img.Verify(g.trust)
				require.Equal(t, err == nil, report.Verified)
				if err != nil {
					require.True(t, isRefusal(err), "%v", err)
					continue
				}
				for file, b := range files {
					require.True(t, same(file, g.files[file], b), "mutant %d verifies, %s: %s", i, file, b)
				}
			}
		})
	}
}

func isRefusal(err error) bool {
	return strings.HasSuffix(err.Error(), format.ErrMalformed.Error()) || strings.HasSuffix(err.Error(), format.ErrNotVerified.Error())
}

// same: nobody asks for the first root, nor the role that no target leads to; and beside "signed" anything may stand in the files that no digest covers.
func same(file string, a, b []byte) bool {
	if strings.HasSuffix(file, "root.json") || strings.HasSuffix(file, "vendor-b.json") || bytes.Equal(a, b) {
		return true
	}
	var x, y struct {
		Signed any `json:"signed"`
	}
	if !strings.HasSuffix(file, ".json") || json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	p, _ := json.Marshal(x.Signed)
	q, _ := json.Marshal(y.Signed)
	return bytes.Equal(p, q)
}

// mutate changes bytes at random places, or a member of the JSON.
func mutate(r *rand.Rand, b []byte) []byte {
	var v object
	if r.IntN(2) == 0 && json.Unmarshal(b, &v) == nil {
		mutateJSON(r, v)
		if out, err := json.Marshal(v); err == nil {
			return out
		}
	}
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return b
		}
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = "0123456789abcdef\"{}[],:"[r.IntN(23)]
		case 2:
			b = b[:at]
		case 3:
			b = slices.Insert(b, at, bytes.Repeat([]byte(" "), r.IntN(8))...)
		case 4:
			b = slices.Delete(b, at, min(len(b), at+1+r.IntN(8)))
		case 5:
			b = slices.Insert(b, at, bytes.Clone(b[at:min(len(b), at+60)])...)
		}
	}
	return b
}

func mutateJSON(r *rand.Rand, v object) {
	names := slices.Sorted(maps.Keys(v))
	if len(names) == 0 {
		return
	}
	name := names[r.IntN(len(names))]
	if next, ok := v[name].(object); ok && r.IntN(8) > 0 {
		mutateJSON(r, next)
		return
	}
	if list, ok := v[name].([]any); ok && len(list) > 0 && r.IntN(4) > 0 {
		if next, ok := list[r.IntN(len(list))].(object); ok {
			mutateJSON(r, next)
			return
		}
		v[name] = append(list, list[0])
		return
	}
	switch r.IntN(8) {
	case 0:
		delete(v, name)
	case 1:
		v[name] = nil
	case 2:
		v[name] = []any{nil}
	case 3:
		v[name] = object{}
	case 4:
		v[name] = r.IntN(5) - 1
	case 5:
		v[name] = -1 << 62
	case 6:
		v[name] = "2099-01-01T00:00:00Z"
	case 7:
		v[strings.ToUpper(name)] = v[name]
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range goods(f) {
		for file, b := range g.files {
			if strings.HasSuffix(file, ".json") {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []string{roleRoot, roleTimestamp, roleSnapshot, roleTargets} {
			d, err := parse(b, kind)
			if err != nil {
				require.ErrorIs(t, err, format.ErrMalformed)
				continue
			}
			require.Equal(t, kind, d.Signed.Type)
			require.True(t, isMetadata(b) || len(d.Signatures) == 0)
		}
	})
}

func FuzzVerify(f *testing.F) {
	g := goods(f)[0]
	for file, b := range g.files {
		if strings.HasSuffix(file, ".json") {
			f.Add(file, b)
		}
	}
	f.Fuzz(func(t *testing.T, file string, b []byte) {
		files := maps.Clone(g.files)
		files[file] = b
		if !fs.ValidPath(file) {
			return
		}
		img, err := OpenUnverified(folder(files))
		if err != nil {
			require.ErrorIs(t, err, format.ErrMalformed)
			return
		}
		img.Describe()
		if report, err := img.Verify(g.trust); err == nil {
			require.True(t, report.Verified)
			if before, ok := g.files[file]; ok {
				require.True(t, same(file, before, b) || len(before) == 0)
			}
		}
		for _, variant := range []string{format.Tampered, format.SelfMadeChain, format.DuplicateSignature, format.PathEscape} {
			_, _ = img.Tamper(variant, format.Means{})
		}
	})
}
