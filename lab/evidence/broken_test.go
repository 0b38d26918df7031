package evidence

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEachBreachHasItsWords breaks a bundle in every way that a reader must be told apart: cut, grown, repacked, with lines
// of the journal moved, and mended by whoever holds the lab's own key. Each is named by layer, place and reason.
func TestEachBreachHasItsWords(t *testing.T) {
	p := newPair(t)
	_, path := sealRun(t, p)
	_, other := sealRun(t, p)
	raw := read(t, path)
	good, second := splitBundle(t, raw), splitBundle(t, read(t, other))
	lines := bytes.Split(bytes.TrimSuffix(good[1].b, []byte("\n")), []byte("\n"))
	insert := func(at int, name string, b []byte) []byte {
		return joinBundle(t, cat(good[:at], []entryBytes{{name, b}}, good[at:]))
	}
	journal := func(lines ...[]byte) []byte {
		return joinBundle(t, cat(good[:1], []entryBytes{{journalName, append(bytes.Join(lines, []byte("\n")), '\n')}}, good[2:]))
	}
	resigned := func(lines ...[]byte) []byte {
		l := cat(good[:1], []entryBytes{{journalName, rechain(t, lines)}}, good[2:])
		l = mendTree(t, l)
		l[len(l)-1].b = signAnew(t, l, p, "")
		return joinBundle(t, l)
	}
	repacked := func(method uint16) []byte { // as another tool would write it, with 64 MiB of zeros
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, e := range append(good, entryBytes{"files/" + strings.Repeat("00", 32), make([]byte, 64<<20)}) {
			w, err := z.CreateHeader(&zip.FileHeader{Name: e.name, Method: method})
			require.NoError(t, err)
			_, err = w.Write(e.b)
			require.NoError(t, err)
		}
		require.NoError(t, z.Close())
		return b.Bytes()
	}
	lying := entry{name: mimeName, size: 1 << 40}
	seal := len(good) - 1
	for name, c := range map[string]struct {
		b                []byte
		what, where, why string
	}{
		"empty":                                {nil, "container", "mimetype", "this is no sealed run"},
		"cut in half":                          {raw[:len(raw)/2], "container", "files/", "the file ends inside it"},
		"one byte short":                       {raw[:len(raw)-1], "container", "end of central directory", "the file ends inside it"},
		"one byte more":                        {append(bytes.Clone(raw), 0), "container", "end of central directory", "1 bytes follow it"},
		"twice":                                {append(bytes.Clone(raw), raw...), "container", "end of central directory", "bytes follow it"},
		"behind a program":                     {append([]byte("MZ"), raw...), "container", "mimetype", "this is no sealed run"},
		"another mimetype":                     {joinBundle(t, cat([]entryBytes{{mimeName, []byte(strings.Replace(mimeType, "a", "b", 1))}}, good[1:])), "container", "mimetype", "is not application/vnd.assay"},
		"no mimetype":                          {joinBundle(t, good[1:]), "container", "mimetype", "is missing"},
		"path traversal":                       {insert(3, "../../etc/passwd", []byte("root")), "container", "header at byte", "../../etc/passwd is no name that a bundle has"},
		"absolute path":                        {insert(3, "/etc/passwd", []byte("root")), "container", "header at byte", "/etc/passwd is no name that a bundle has"},
		"another file":                         {insert(len(good)-2, "files/"+strings.Repeat("ff", 32), nil), "container", "files/ffff", "is in no record of the journal"},
		"file twice":                           {insert(3, good[2].name, good[2].b), "container", "files/", "is there twice"},
		"file missing":                         {joinBundle(t, cat(good[:2], good[3:])), "container", "files/", "is not where the journal wants it (dossier.yaml)"},
		"file of other bytes":                  {joinBundle(t, cat(good[:2], []entryBytes{{good[2].name, bytes.Replace(good[2].b, []byte("assay"), []byte("essay"), 1)}}, good[3:])), "artefact", "files/", "dossier.yaml is not what the journal recorded"},
		"bomb":                                 {repacked(zip.Deflate), "container", "header at byte 0", "not the only form of a header for mimetype"},
		"stored otherwise":                     {repacked(zip.Store), "container", "header at byte 0", "not the only form of a header for mimetype"},
		"sizes that lie":                       {append(lying.local(), raw...), "container", "mimetype", "the file ends inside it"},
		"no journal":                           {joinBundle(t, cat(good[:1], good[2:])), "container", "journal.jsonl", "is missing"},
		"no tree":                              {joinBundle(t, cat(good[:seal-1], good[seal:])), "container", "tree.json", "is missing"},
		"no seal":                              {joinBundle(t, good[:seal]), "container", "seal/statement.sigstore.json", "is missing"},
		"seal of another run":                  {joinBundle(t, cat(good[:seal], second[seal:])), "seal", "seal/statement.sigstore.json", "its subjects are not this journal and this tree"},
		"line twice":                           {journal(cat(lines[:7], lines[6:])...), "chain", "journal line 8", "seq is 7 where 8 belongs"},
		"lines exchanged":                      {journal(cat(lines[:5], [][]byte{lines[6], lines[5]}, lines[7:])...), "chain", "journal line 6", "seq is 7 where 6 belongs"},
		"line missing":                         {journal(cat(lines[:6], lines[7:])...), "chain", "journal line 7", "seq is 8 where 7 belongs"},
		"last line missing":                    {journal(lines[:len(lines)-1]...), "tree", "tree.json", "13 leaves for 10 records, want 12 for 9"},
		"observation of the lab's own dropped": {resigned(cat(lines[:5], lines[6:])...), "completeness", "journal line 5", "has no observation"},
		"end of the lab's own dropped":         {resigned(lines[:len(lines)-1]...), "completeness", "journal line 9", "not end"},
		"artefact of the lab's own dropped":    {resigned(cat(lines[:7], lines[8:])...), "container", "files/", "is in no record of the journal"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			_, err := VerifyBy(t.Context(), write(t, c.b), Trust{Keys: p.keys(), Now: time.Now()})
			b := requireBroken(t, err)
			assert.Equal(t, c.what, b.What)
			assert.Contains(t, b.Where, c.where)
			assert.Contains(t, b.Why, c.why)
		})
	}
}

// cat joins lists into a new one.
func cat[T any](lists ...[]T) []T {
	var out []T
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}
