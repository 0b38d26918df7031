package mender

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

// setHeader replaces the header archive, and repairs its line.
func setHeader(t testing.TB, p *parts, files ...File) {
	b, err := pack(Gzip, files)
	require.NoError(t, err)
	p.header.Data = b
	for i := range p.lines {
		if p.lines[i].name == p.header.Name {
			p.lines[i].sum = sha256.Sum256(b)
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	good := made(t, fullSpec(), "ecdsa")
	replace := func(old, new string) func(p *parts) {
		return func(p *parts) { p.manifest = bytes.Replace(p.manifest, []byte(old), []byte(new), 1) }
	}
	for name, tc := range map[string]struct {
		edit func(p *parts)
		text string
	}{
		"empty":             {func(p *parts) { p.manifest = nil }, "does not end with a line"},
		"no last newline":   {func(p *parts) { p.manifest = p.manifest[:len(p.manifest)-1] }, "does not end with a line"},
		"empty line":        {replace("\n", "\n\n"), "none of sha256sum"},
		"one space":         {replace("  version", " version"), "none of sha256sum"},
		"binary mark":       {replace("  version", " *version"), "manifest"},
		"carriage return":   {replace("version\n", "version\r\n"), "no line for version"},
		"upper case":        {func(p *parts) { copy(p.manifest, bytes.ToUpper(p.manifest[:64])) }, "none of sha256sum"},
		"no hex":            {func(p *parts) { p.manifest[5] = 'x' }, "no SHA-256"},
		"twice":             {func(p *parts) { p.manifest = append(p.manifest, p.manifest[:bytes.IndexByte(p.manifest, '\n')+1]...) }, "twice"},
		"no version":        {replace("  version", "  data/0000/v"), "no line for version"},
		"no header":         {replace("  header.tar.gz", "  data/0000/h"), "no line for header.tar.gz"},
		"a payload too far": {replace("data/0000/empty", "data/0001/empty"), "there are 1 payloads"},
		"upwards":           {replace("data/0000/empty", "data/0000/.."), "no payload file"},
		"a folder deeper":   {replace("data/0000/empty", "data/0000/a/b"), "no payload file"},
		"five digits":       {replace("data/0000/empty", "data/00000/empty"), "no payload file"},
		"signs":             {replace("data/0000/empty", "data/+000/empty"), "no payload file"},
		"blank in a name":   {replace("data/0000/empty", "data/0000/a b"), "no payload file"},
		"another member":    {replace("data/0000/empty", "header-augment.tar"), "which is not in the archive"},
	} {
		_, err := OpenUnverified(input(rawSeal(t, good, tc.edit)))
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.text, name)
	}
}

func TestHeaderRefuses(t *testing.T) {
	good := made(t, fullSpec(), "ecdsa")
	const info = `{"payloads":[{"type":"x"}],"artifact_provides":{"artifact_name":"n"},"artifact_depends":{"device_type":["d"]}}`
	file := func(name, text string) File { return File{name, []byte(text)} }
	typed := file("headers/0000/type-info", `{"type":"x"}`)
	for name, tc := range map[string]struct {
		files []File
		text  string // empty: it is accepted
	}{
		"as it should be":      {[]File{file("header-info", info), file("scripts/a", ""), typed, file("headers/0000/meta-data", "")}, ""},
		"folders":              {[]File{file("header-info", info), file("scripts/", ""), file("headers/", ""), typed}, ""},
		"without payload":      {[]File{file("header-info", strings.Replace(info, `"x"`, "null", 1)), file("headers/0000/type-info", `{"type":null}`)}, ""},
		"empty type":           {[]File{file("header-info", info), file("headers/0000/type-info", `{"type":""}`)}, ""},
		"nothing":              {nil, "no header-info"},
		"script first":         {[]File{file("scripts/a", ""), file("header-info", info)}, "not header-info"},
		"twice":                {[]File{file("header-info", info), file("header-info", info)}, `"header-info" twice`},
		"no JSON":              {[]File{file("header-info", "x")}, "JSON"},
		"a list":               {[]File{file("header-info", "[]")}, "no JSON object"},
		"a key twice":          {[]File{file("header-info", strings.Replace(info, `{"type":"x"}`, `{"type":"x","type":"y"}`, 1))}, "twice"},
		"unknown key":          {[]File{file("header-info", strings.Replace(info, `{"payloads"`, `{"x":1,"payloads"`, 1))}, "unknown key"},
		"key of another case":  {[]File{file("header-info", strings.Replace(info, `"payloads"`, `"Payloads"`, 1))}, "unknown key"},
		"no name":              {[]File{file("header-info", strings.Replace(info, `"n"`, `""`, 1))}, "no artifact name"},
		"a list of names":      {[]File{file("header-info", strings.Replace(info, `"n"`, `["n","m"]`, 1))}, "is a list"},
		"numbers for names":    {[]File{file("header-info", strings.Replace(info, `"n"`, `7`, 1))}, "neither a text nor a list"},
		"no payloads":          {[]File{file("header-info", strings.Replace(info, `{"type":"x"}`, "", 1))}, "0 payloads"},
		"empty payload type":   {[]File{file("header-info", strings.Replace(info, `"x"`, `""`, 1))}, "without type"},
		"payload of what":      {[]File{file("header-info", strings.Replace(info, `{"type":"x"}`, `{}`, 1))}, "without type"},
		"two payloads":         {[]File{file("header-info", strings.Replace(info, `{"type":"x"}`, `{"type":"x"},{"type":"x"}`, 1))}, "lists 2 payloads, the archive has 1"},
		"another type":         {[]File{file("header-info", info), file("headers/0000/type-info", `{"type":"y"}`)}, "header-info says"},
		"script in a folder":   {[]File{file("header-info", info), file("scripts/a/b", "")}, "script name"},
		"script upwards":       {[]File{file("header-info", info), file("scripts/..", "")}, "script name"},
		"script too late":      {[]File{file("header-info", info), typed, file("scripts/a", "")}, `"scripts/a"`},
		"payload out of range": {[]File{file("header-info", info), file("headers/0001/type-info", `{"type":"x"}`)}, "there are 1 payloads"},
		"unknown file":         {[]File{file("header-info", info), file("headers/0000/checksums", "")}, "unknown file"},
		"file of version 2":    {[]File{file("header-info", info), file("headers/0000/files", "{}")}, "unknown file"},
		"meta-data no object":  {[]File{file("header-info", info), file("headers/0000/meta-data", "[]")}, "no JSON object"},
		"elsewhere":            {[]File{file("header-info", info), file("../x", "")}, `"../x"`},
		"depends on numbers":   {[]File{file("header-info", info), file("headers/0000/type-info", `{"type":"x","artifact_depends":{"a":[1]}}`)}, "no text"},
		"too much":             {[]File{file("header-info", info+strings.Repeat(" ", maxSmall))}, "more than 1048576 bytes"},
	} {
		b := reseal(t, good, signer(t, "ecdsa"), func(p *parts) { setHeader(t, p, tc.files...) })
		_, err := OpenUnverified(input(b))
		if tc.text == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorIs(t, err, format.ErrMalformed, name)
		assert.ErrorContains(t, err, tc.text, name)
	}
}

func TestOrderOfMembers(t *testing.T) {
	p, err := opened(t, made(t, fullSpec(), "ecdsa")).parts()
	require.NoError(t, err)
	version, manifest, sig, header, data := File{"version", p.version}, File{"manifest", p.manifest}, File{"manifest.sig", p.sig}, p.header, p.data[0]
	second := File{"data/0001.tar.gz", data.Data}
	for _, tc := range []struct {
		list []File
		text string
	}{
		{[]File{version}, "no manifest"},
		{[]File{version, sig, manifest, header, data}, "no manifest"},
		{[]File{version, manifest, header, sig, data}, `"manifest.sig" where data/0000.tar`},
		{[]File{version, manifest, sig, data, header}, `"data/0000.tar.gz" where header.tar`},
		{[]File{version, manifest, sig}, "ends where header.tar"},
		{[]File{version, manifest, sig, header}, "1 payloads, the archive has 0"},
		{[]File{version, manifest, sig, header, data, second}, "1 payloads, the archive has 2"},
		{[]File{version, manifest, sig, header, second}, `where data/0000.tar`},
		{[]File{version, manifest, sig, header, data, data}, `where data/0001.tar`},
		{[]File{version, manifest, sig, header, header, data}, `where data/0000.tar`},
		{[]File{version, manifest, sig, header, {"data/0000.tar.lz4", data.Data}}, `where data/0000.tar`},
		{[]File{{"version", []byte(`{"format":"mender","version":1}`)}, manifest, header, data}, "format version 1"},
		{[]File{{"version", []byte(`{"format":"mender","version":"3"}`)}, manifest, header, data}, "format version 3"},
		{[]File{{"version", []byte(`{"format":"Mender","version":3}`)}, manifest, header, data}, "names the format"},
		{[]File{{"version", []byte(`{"format":"mender","version":3,"version":2}`)}, manifest, header, data}, "twice"},
	} {
		b, err := pack(None, tc.list)
		require.NoError(t, err)
		_, err = OpenUnverified(input(b))
		require.ErrorIs(t, err, format.ErrMalformed)
		assert.ErrorContains(t, err, tc.text)
	}
}
