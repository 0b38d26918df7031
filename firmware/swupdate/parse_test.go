package swupdate

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestLibconfig(t *testing.T) {
	got, err := parseLibconfig([]byte(`# a comment
// another
/* and
 * one more */
software : {
	version = "1" ".2" /* one string */
	  "\"\\\n\x41";
	yes = TRUE, no : false
	n = 12; big = 0x7fL; long = 5000000000L; f = 1.5e1; minus = -3;
	empty = { }; list = ( 1, "a", { b = ( ) }, [ 1, 2 ], ); array = [ "a", "b" ];
	*star-name_1 = 1;
}`))
	require.NoError(t, err)
	n := func(s string) any { return json.Number(s) }
	require.Equal(t, map[string]any{"software": map[string]any{
		"version": "1.2\"\\\nA", "yes": true, "no": false,
		"n": n("12"), "big": n("127"), "long": n("5000000000"), "f": n("15"), "minus": n("-3"),
		"empty": map[string]any{}, "array": []any{"a", "b"}, "*star-name_1": n("1"),
		"list": []any{n("1"), "a", map[string]any{"b": []any{}}, []any{n("1"), n("2")}},
	}}, got)
	for name, tc := range map[string]struct{ text, want string }{
		"twice":            {`a = 1; a = 2;`, `"a" twice`},
		"twice deeper":     {"a = {\nb = 1;\nb = 2; }", `line 3: "b" twice`},
		"include":          {`@include "x"`, "directives"},
		"no value":         {`a`, "without a value"},
		"no end of group":  {`a = { b = 1;`, "group without end"},
		"no end of list":   {`a = ( 1 2 )`, "list without end"},
		"no end of array":  {`a = [ 1`, "list without end"},
		"no end of string": {`a = "x`, "string without end"},
		"zero in a string": {"a = \"x\x00y\"", "string without end"},
		"no end comment":   {`a = 1; /* x`, "comment without end"},
		"group in array":   {`a = [ { } ]`, "numbers and texts only"},
		"escape":           {`a = "\q"`, "unknown escape"},
		"escape to zero":   {`a = "\x00"`, "unknown escape"},
		"name":             {`1a = 1`, "a name should be"},
		"word":             {`a = yes`, "no value"},
		"nothing":          {`a = ;`, "no value"},
		"infinity":         {`a = inf`, "no value"},
		"too deep":         {strings.Repeat("a = {", 40), "nested deeper"},
		"much too deep":    {"a = " + strings.Repeat("(", 1e6), "nested deeper"},
	} {
		_, err := parseLibconfig([]byte(tc.text))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.want, name)
	}
}

func TestDescriptionRefuses(t *testing.T) {
	const sum = "fb05587091cba124e21cc602044ca8375e9f28fc5e37b2c18e2df836f83043cd"
	other := strings.Replace(sum, "f", "e", 1)
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":           {``, "no group software"},
		"another root":      {`firmware = { version = "1"; }`, "no group software"},
		"no version":        {`software = { images: ( ); }`, "no version"},
		"JSON twice":        {`{"software": {"version": "1", "version": "2"}}`, "twice"},
		"JSON and more":     {`{"software": {"version": "1"}} x`, "more than one value"},
		"JSON list":         {`{"software": []}`, "no group software"},
		"hash too short":    {`software = { version = "1"; images: ( { filename = "a"; sha256 = "00"; } ); }`, "sha256"},
		"hash no text":      {`software = { version = "1"; images: ( { filename = "a"; sha256 = 1; } ); }`, "sha256"},
		"hash by reference": {`software = { version = "1"; images: ( { filename = "a"; sha256 = "@a"; } ); }`, "sha256"},
		"two hashes":        {`software = { version = "1"; images: ( { filename = "a"; sha256 = "` + sum + `"; }, { filename = "a"; sha256 = "` + other + `"; } ); }`, "another hash"},
		"name upwards":      {`software = { version = "1"; images: ( { filename = "../a"; } ); }`, "filename"},
		"name from root":    {`software = { version = "1"; images: ( { filename = "/a"; } ); }`, "filename"},
		"name no text":      {`software = { version = "1"; images: ( { filename = 1; } ); }`, "filename"},
		"deep in a group":   {`software = { version = "1"; b: { s: { m: { common: ( { filename = "../a"; } ); }; }; }; }`, "software.b.s.m.common[0]: filename"},
	} {
		_, err := readDescription([]byte(tc.text))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.want, name)
	}
	d, err := readDescription([]byte(`{"software": {"version": "1", "b": {"x": [{"filename": "a", "sha256": "` + strings.ToUpper(sum) + `", "properties": {"filename": "b"}}]},
		"images": [{"filename": "c", "sha256": "` + strings.Repeat("0", 64) + `"}]}}`))
	require.NoError(t, err)
	require.Len(t, d.artifacts, 2)
	assert.True(t, d.artifacts[0].hash)
	assert.False(t, d.artifacts[1].hash, "zeros are no hash")
}

func TestContainerRefuses(t *testing.T) {
	good := made(t, fullSpec(), "ec")
	img := opened(t, good)
	w, err := img.work()
	require.NoError(t, err)
	list := func(order ...int) []byte {
		var files []File
		for _, i := range order {
			files = append(files, w.files[i])
		}
		return archive(magicNew, files)
	}
	named := func(name string) []byte {
		return archive(magicNew, append(append([]File{}, w.files...), File{name, []byte("x")}))
	}
	change := func(at int64, text string) []byte {
		b := bytes.Clone(good)
		copy(b[at:], text)
		return b
	}
	last := img.members[len(img.members)-1]
	for name, tc := range map[string]struct {
		b    []byte
		text string
		is   error
	}{
		"empty":               {nil, "empty", format.ErrUnknownFormat},
		"no trailer":          {good[:last.end()], "cpio header", format.ErrMalformed},
		"cut":                 {good[:last.at+1], "announces", format.ErrMalformed},
		"bytes behind":        {append(bytes.Clone(good), 0, 0, 1), "behind the trailer", format.ErrTrailing},
		"second archive":      {append(bytes.Clone(good), good...), "behind the trailer", format.ErrTrailing},
		"image first":         {list(2, 0, 1, 3, 4), "the first member", format.ErrMalformed},
		"signature late":      {list(0, 2, 1, 3, 4), "must come second", format.ErrMalformed},
		"signature twice":     {list(0, 1, 1, 2, 3, 4), "twice", format.ErrMalformed},
		"description twice":   {list(0, 1, 0, 2, 3, 4), "twice", format.ErrMalformed},
		"image twice":         {list(0, 1, 2, 2, 3, 4), "twice", format.ErrMalformed},
		"image missing":       {list(0, 1, 3, 4), `names "rootfs.img", which is not`, format.ErrMalformed},
		"upwards":             {named("../x"), "member name", format.ErrMalformed},
		"upwards inside":      {named("a/../x"), "member name", format.ErrMalformed},
		"from the root":       {named("/x"), "member name", format.ErrMalformed},
		"backslash":           {named("a\\x"), "member name", format.ErrMalformed},
		"double slash":        {named("a//x"), "member name", format.ErrMalformed},
		"control":             {named("a\nb"), "member name", format.ErrMalformed},
		"zero in the name":    {named("a\x00b"), "name", format.ErrMalformed},
		"name too long":       {named(strings.Repeat("a", 300)), "name of 301 bytes", format.ErrMalformed},
		"symlink":             {change(last.header+14, "0000A1FF"), "no plain file", format.ErrMalformed},
		"folder":              {change(last.header+14, "000041ED"), "no plain file", format.ErrMalformed},
		"size":                {change(last.header+54, "FFFFFFFF"), "announces 4294967295", format.ErrMalformed},
		"no number":           {change(last.header+54, "0000000G"), "is no number", format.ErrMalformed},
		"sign":                {change(last.header+54, "+0000001"), "is no number", format.ErrMalformed},
		"old magic":           {change(last.header, "070707"), "no cpio header", format.ErrMalformed},
		"padding of data":     {change(last.at+last.size, "x"), "padding", format.ErrMalformed},
		"trailer with a size": {change(last.end()+54, "00000004"), "the trailer", format.ErrMalformed},
	} {
		_, err := OpenUnverified(input(tc.b))
		require.ErrorIs(t, err, tc.is, name)
		require.ErrorContains(t, err, tc.text, name)
	}
	_, err = OpenUnverified(input(append(bytes.Clone(good), make([]byte, 5000)...)))
	require.NoError(t, err, "zeros fill up a block")
	_, err = OpenUnverified(input(bytes.ReplaceAll(good, []byte("000081A4"), []byte("000081a4"))))
	require.NoError(t, err, "digits of either case")
}
