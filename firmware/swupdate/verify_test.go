package swupdate

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/cms"
	"assay/firmware/format"
)

func TestVerifyGood(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			b := g.bytes(t)
			require.True(t, detect(input(b)))
			img := opened(t, b)
			report, err := img.Verify(trust(t, g.key))
			require.NoError(t, err)
			require.True(t, report.Verified)
			require.NotNil(t, report.Key)
			assert.NotEmpty(t, report.Signature)
			assert.True(t, strings.HasPrefix(report.Signature, report.Key.Algorithm), report.Signature)
			var kinds []string
			for _, l := range report.Chain {
				kinds = append(kinds, l.Kind)
			}
			want := []string{"certificate", "certificate", "certificate", "signature", "hash"}
			switch g.key {
			case "rsa":
				want = want[1:]
			case "raw", "pss":
				want = []string{"key", "signature"}
			}
			for range img.description.artifacts {
				want = append(want, "hash")
			}
			assert.Equal(t, want, kinds)
			assert.Equal(t, g.key != "ec", len(report.Findings) > 0, "rsa-2048 is on its way out")

			all := append(slices.Clone(report.Image.Covered), report.Image.Uncovered...)
			slices.SortFunc(all, func(a, b format.Region) int { return int(a.Offset - b.Offset) })
			at := int64(0)
			for _, r := range all {
				require.Equal(t, at, r.Offset, r.Name)
				at += r.Size
			}
			require.EqualValues(t, len(b), at, "covered and uncovered are the whole file")
		})
	}
}

func TestDescribe(t *testing.T) {
	spec := fullSpec()
	spec.Images[0].Fields = map[string]string{"device": "/dev/x", "encrypted": "aes-cbc", "aes-key": "00112233445566778899aabbccddeeff", "hook": "check"}
	spec.Extra = []File{{"extra.bin", []byte("x")}}
	img := opened(t, made(t, spec, "ec"))
	f := img.Describe()
	assert.Equal(t, "2.1.0", f.Version)
	assert.Equal(t, []string{"hardware-compatibility=1.0", "hardware-compatibility=#RE:^2\\.[0-9]$"}, f.Targets)
	assert.Equal(t, "aes-cbc", f.Encrypted)
	fields := map[string]format.Field{}
	for _, x := range f.Fields {
		fields[x.Name] = x
	}
	assert.Equal(t, "/dev/x", fields["software.images[0].device"].Value)
	assert.True(t, fields["software.images[0].device"].Protected)
	assert.Equal(t, "(a key)", fields["software.images[0].aes-key"].Value, "secrets are not repeated")
	assert.True(t, fields["member rootfs.img"].Protected)
	assert.False(t, fields["member extra.bin"].Protected)
	notes := strings.Join(f.Notes, "\n")
	for _, want := range []string{`"extra.bin" is covered by nothing`, "Lua of sw-description runs", "1 scripts run as root", "the key that decrypts", "-N only"} {
		assert.Contains(t, notes, want)
	}
	_, err := img.Verify(trust(t, "ec"))
	require.NoError(t, err, "the hash covers the ciphertext")

	unsigned, err := Build(fullSpec(), Identity{})
	require.NoError(t, err)
	f = opened(t, unsigned).Describe()
	assert.Empty(t, f.Covered)
	assert.Contains(t, f.Notes[0], "not signed")
}

func TestVerifyRefuses(t *testing.T) {
	good := made(t, fullSpec(), "ec")
	raw := made(t, fullSpec(), "raw")
	unsigned, err := Build(fullSpec(), Identity{})
	require.NoError(t, err)
	p := pki(t, "ec")
	issued := func(l cms.Leaf) []byte {
		id, err := p.Issue(l)
		require.NoError(t, err)
		b, err := Build(fullSpec(), Identity{Key: id.Key, Chain: []*x509.Certificate{id.Certificate, p.Intermediate.Certificate}})
		require.NoError(t, err)
		return b
	}
	set := func(name string, data []byte) []byte {
		return rewritten(t, good, func(w *work) {
			for i := range w.files {
				if w.files[i].Name == name {
					w.files[i].Data = data
				}
			}
		})
	}
	named := trust(t, "ec")
	named.Signer = "Somebody else"
	untimed := trust(t, "ec")
	untimed.At = untimed.At.AddDate(20, 0, 0)
	noHash := fullSpec()
	noHash.Files[0].NoHash = true
	crc := made(t, func() Spec { s := fullSpec(); s.CRC, s.Extra = true, []File{{"extra", []byte("abc")}}; return s }(), "ec")
	crc = bytes.Replace(crc, []byte("extra\x00abc"), []byte("extra\x00abd"), 1)
	for name, tc := range map[string]struct {
		b     []byte
		trust format.Trust
		want  error
		text  string
	}{
		"nobody trusted":      {good, format.Trust{}, format.ErrNoTrustedKey, "no root"},
		"nobody trusted, raw": {raw, format.Trust{}, format.ErrNoTrustedKey, "no key"},
		"CMS under a key":     {good, trust(t, "raw"), format.ErrNoTrustedKey, "no root"},
		"raw under a root":    {raw, trust(t, "rsa"), format.ErrBadSignature, "neither CMS"},
		"unsigned":            {unsigned, trust(t, "ec"), format.ErrUnsigned, "no sw-description.sig"},
		"another root":        {good, trust(t, "rsa"), format.ErrChain, "unknown authority"},
		"another name":        {good, named, format.ErrNoTrustedKey, "Somebody else"},
		"another time":        {good, untimed, format.ErrValidity, "expired"},
		"for servers":         {issued(cms.Leaf{Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), trust(t, "ec"), format.ErrPurpose, "not for"},
		"expired":             {issued(cms.Leaf{NotAfter: p.At.AddDate(0, -1, 0)}), trust(t, "ec"), format.ErrValidity, "expired"},
		"no hash":             {made(t, noHash, "ec"), trust(t, "ec"), format.ErrNotBound, "software.files[0] names \"etc/app.conf\" without sha256"},
		"an image":            {set("rootfs.img", []byte("x")), trust(t, "ec"), format.ErrBadHash, `"rootfs.img" hashes to`},
		"a script":            {set("post.sh", []byte("x")), trust(t, "ec"), format.ErrBadHash, `"post.sh" hashes to`},
		"a sum nobody signed": {crc, trust(t, "ec"), format.ErrBadHash, "add up to"},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := opened(t, tc.b).Verify(tc.trust)
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			require.False(t, report.Verified)
		})
	}
	for name, l := range map[string]cms.Leaf{
		"code signing":  {Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}},
		"email":         {Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}},
		"no usage said": {NoUsages: true},
	} {
		_, err := opened(t, issued(l)).Verify(trust(t, "ec"))
		assert.NoError(t, err, name)
	}
	named.Signer = "Signer"
	_, err = opened(t, good).Verify(named)
	require.NoError(t, err, "the forced signer name is the common name")
}

func TestCheck(t *testing.T) {
	img := opened(t, made(t, fullSpec(), "ec"))
	type m = map[string]string
	for name, tc := range map[string]struct {
		d    format.Device
		want error
	}{
		"knows nothing":      {format.Device{}, nil},
		"the device":         {format.Device{Version: "2.0.9", Is: m{"hwrevision": "board:1.0"}, Size: 1563}, nil},
		"by expression":      {format.Device{Is: m{"hwrevision": "board:2.7"}}, nil},
		"the same version":   {format.Device{Version: "2.1.0"}, nil},
		"a newer one runs":   {format.Device{Version: "2.1.0.1"}, format.ErrRollback},
		"another revision":   {format.Device{Is: m{"hwrevision": "board:1.1"}}, format.ErrWrongDevice},
		"not by the dot":     {format.Device{Is: m{"hwrevision": "board:2x7"}}, format.ErrWrongDevice},
		"no room":            {format.Device{Size: 1562}, format.ErrTooLarge},
		"a counter":          {format.Device{Counter: new(uint64(1))}, format.ErrRollback},
		"no revision":        {format.Device{Is: m{"hwrevision": "board"}}, format.ErrDevice},
		"unknown word":       {format.Device{Is: m{"compatible": "x"}}, format.ErrDevice},
		"other images":       {format.Device{Has: m{"x": "1"}}, format.ErrDevice},
		"selection not kept": {format.Device{Is: m{"software": "stable,copy1", "hwrevision": "board:1.0"}}, nil},
	} {
		err := img.Check(tc.d)
		if tc.want == nil {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorIs(t, err, tc.want, name)
		}
	}
}

func TestSelection(t *testing.T) {
	const text = `software = {
	version = "1.0";
	b1: { hardware-compatibility: [ "7" ]; version = "3.0"; };
	stable: { main: { hardware-compatibility: [ "8" ]; }; };
	b2: { stable: { main: { hardware-compatibility: [ "9" ]; }; }; };
	images: ( );
}`
	img := opened(t, resigned(t, made(t, fullSpec(), "ec"), "ec", text))
	assert.Equal(t, "1.0", img.Version())
	check := func(hw, software, version string) error {
		d := format.Device{Version: version, Is: map[string]string{"hwrevision": hw}}
		if software != "" {
			d.Is["software"] = software
		}
		return img.Check(d)
	}
	assert.NoError(t, check("b1:7", "", "2.0"))
	assert.ErrorIs(t, check("b1:7", "", "3.1"), format.ErrRollback)
	assert.ErrorIs(t, check("b2:7", "", ""), format.ErrWrongDevice, "nothing for that board without a selection")
	assert.NoError(t, check("b2:9", "stable,main", ""))
	assert.ErrorIs(t, check("b2:8", "stable,main", ""), format.ErrWrongDevice, "the board's own comes first")
	assert.NoError(t, check("b3:8", "stable,main", ""))
	assert.Contains(t, strings.Join(img.Describe().Notes, "\n"), "several versions: 1.0, 3.0")
}

func TestCompareVersions(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"1.2.3.4", "1.2.3.4", 0}, {"1.10", "1.9", 1}, {"1.2", "1.2.0.0", 0}, {"2026.9", "2026.10.0", -1},
		{"1.2.3.4.5", "1.2.3.4.6", 0}, // the fifth number counts for nothing
		{"1.70000", "1.9", 1},         // too large for numbers, semantic then
		{"1.0.0-rc1", "1.0.0", -1}, {"1.0.0-rc.2", "1.0.0-rc.10", -1}, {"1.0.0-1", "1.0.0-a", -1}, {"1.0.0-a", "1.0.0-a.1", -1},
		{"1.0.0+x", "1.0.0+y", 0}, {"1.0.0-b", "1.0.0-a", 1},
		{"release-b", "release-a", 1}, {"9", "release", -1}, {"", "1", -1},
	} {
		assert.Equal(t, tc.want, compareVersions(tc.a, tc.b), "%s %s", tc.a, tc.b)
		assert.Equal(t, -tc.want, compareVersions(tc.b, tc.a), "%s %s", tc.b, tc.a)
	}
}

func TestSummer(t *testing.T) {
	b := make([]byte, 5000)
	for i := range b {
		b[i] = byte(255 - i%7)
	}
	for n := range b {
		want := uint32(0)
		for _, c := range b[:n] {
			want += uint32(c)
		}
		if got := sumOf(b[:n]); got != want {
			require.Equal(t, want, got, "%d bytes", n)
		}
	}
}
