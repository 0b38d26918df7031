package fit

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

func TestVerifyGood(t *testing.T) {
	for _, g := range goodImages() {
		t.Run(g.name, func(t *testing.T) {
			img, err := OpenUnverified(format.FromBytes(g.bytes(t)))
			require.NoError(t, err)
			report, err := img.Verify(g.trust(t))
			require.NoError(t, err)
			assert.True(t, report.Verified)
			assert.NotEmpty(t, report.Signature)
			assert.Contains(t, report.Digest, ":")
			assert.Equal(t, "control.dtb", report.Key.From)
			assert.Equal(t, "key", report.Chain[0].Kind)
			assert.Equal(t, "signature", report.Chain[1].Kind)
			assert.Equal(t, "hash", report.Chain[len(report.Chain)-1].Kind)

			_, err = img.Verify(bare(t, g.key))
			if g.by == "conf" {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, format.ErrUnsigned)
			}
			_, err = img.Verify(bare(t, "stranger"))
			require.ErrorIs(t, err, format.ErrNotVerified)
			_, err = img.Verify(format.Trust{})
			require.ErrorIs(t, err, format.ErrNoTrustedKey)
		})
	}
}

func TestControlTree(t *testing.T) {
	spec := fullSpec()
	twice := edited(t, spec, func(*fdt.Draft) {})
	// A second signature by another key, over the tree as it is with both nodes.
	tree, err := fdt.Parse(format.FromBytes(build1(t, spec, "p256")))
	require.NoError(t, err)
	d, err := tree.Draft(1 << 20)
	require.NoError(t, err)
	d.Find("/configurations/conf-1").Add("signature-2")
	both, err := scheme{}.sign(d, nil, 0, []string{"conf-1"}, signer(t, "p256"))
	require.NoError(t, err)
	tree, err = fdt.Parse(format.FromBytes(both))
	require.NoError(t, err)
	d, err = tree.Draft(1 << 20)
	require.NoError(t, err)
	both, err = scheme{node: "signature-2"}.sign(d, nil, 0, []string{"conf-1"}, signer(t, "rsa2048"))
	require.NoError(t, err)

	p256, rsa, p384 := required(t, "conf", "p256"), required(t, "conf", "rsa2048"), required(t, "conf", "p384")
	optional := required(t, "", "p256")
	sha512 := p256
	sha512.Digest = "sha512"
	signedImages := spec
	signedImages.SignImages = true
	images := build1(t, signedImages, "p256")
	image := required(t, "image", "p256")
	image.Name = "images"
	for name, tc := range map[string]struct {
		b     []byte
		trust format.Trust
		want  error
	}{
		"one of one":                    {twice, control(t, "", p256), nil},
		"not the one":                   {twice, control(t, "", p384), format.ErrAlgorithm},
		"one of two where all must":     {twice, control(t, "", p256, rsa), format.ErrNotVerified},
		"one of two where any may":      {twice, control(t, "any", rsa, p256), nil},
		"two of two":                    {both, control(t, "all", p256, rsa), nil},
		"two of three":                  {both, control(t, "all", p256, rsa, p384), format.ErrNotVerified},
		"two of three where any may":    {both, control(t, "any", p384, p256, rsa), nil},
		"none is required":              {twice, control(t, "", optional), format.ErrNoTrustedKey},
		"no keys":                       {twice, control(t, ""), format.ErrNoTrustedKey},
		"another digest than the key's": {twice, control(t, "", sha512), format.ErrAlgorithm},
		"images, and the key wants so":  {images, control(t, "", image), nil},
		"images, configuration wanted":  {images, control(t, "", p256), format.ErrUnsigned},
		"configuration, images wanted":  {twice, control(t, "", image), format.ErrUnsigned},
		"both wanted":                   {images, control(t, "", p256, image), format.ErrUnsigned},
	} {
		report, err := verify(t, tc.b, tc.trust)
		require.Equal(t, tc.want == nil, report.Verified, name)
		if tc.want == nil {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, tc.want, name)
		}
	}
	// Bare keys beside a control device tree do not count: the tree is what the device goes by.
	trust := control(t, "", rsa)
	trust.Keys = bare(t, "p256").Keys
	_, err = verify(t, twice, trust)
	require.ErrorIs(t, err, format.ErrNotVerified)
	// Several trees are several devices.
	trust = control(t, "", rsa)
	trust.Own[Name] = append(trust.Own[Name], control(t, "", p256).Own[Name]...)
	_, err = verify(t, twice, trust)
	require.NoError(t, err)
}

func verify(t testing.TB, b []byte, trust format.Trust) (format.Report, error) {
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	return img.Verify(trust)
}

func TestControlTreeIsReadStrictly(t *testing.T) {
	good := control(t, "", required(t, "conf", "rsa2048"), required(t, "conf", "p256")).Own[Name][0].Bytes
	for name, change := range map[string]func(keys *fdt.Item){
		"mode":            func(k *fdt.Item) { k.SetText("required-mode", "some") },
		"neither":         func(k *fdt.Item) { k.Nodes[0].Unset("rsa,modulus") },
		"bits":            func(k *fdt.Item) { k.Nodes[0].SetCells("rsa,num-bits", 1024) },
		"small exponent":  func(k *fdt.Item) { k.Nodes[0].SetCells("rsa,exponent", 0, 1) },
		"huge exponent":   func(k *fdt.Item) { k.Nodes[0].SetCells("rsa,exponent", 1, 1) },
		"short exponent":  func(k *fdt.Item) { k.Nodes[0].SetCells("rsa,exponent", 65537) },
		"curve":           func(k *fdt.Item) { k.Nodes[1].SetText("ecdsa,curve", "secp256k1") },
		"short point":     func(k *fdt.Item) { k.Nodes[1].Set("ecdsa,x-point", make([]byte, 31)) },
		"off the curve":   func(k *fdt.Item) { k.Nodes[1].Set("ecdsa,x-point", make([]byte, 32)) },
		"required twice":  func(k *fdt.Item) { k.Nodes[0].SetText("required", "conf", "image") },
		"algo is a list":  func(k *fdt.Item) { k.Nodes[0].SetText("algo", "a", "b") },
		"no longer there": func(k *fdt.Item) { k.Name = "signatures" },
	} {
		tree, err := fdt.Parse(format.FromBytes(good))
		require.NoError(t, err)
		d, err := tree.Draft(1 << 20)
		require.NoError(t, err)
		change(d.Find("/signature"))
		b, err := d.Encode()
		require.NoError(t, err)
		_, err = readControl(format.Anchor{From: "x.dtb", Bytes: b})
		require.ErrorIs(t, err, format.ErrNoTrustedKey, name)
		require.ErrorContains(t, err, "x.dtb", name)
	}
	assert.False(t, isControl([]byte("-----BEGIN PUBLIC KEY-----")))
	assert.False(t, isControl(build1(t, smallSpec(), "p256")), "an image is no anchor")
}

func TestSmallKeyOfControlTree(t *testing.T) {
	small := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(3), 1023, 1), E: 65537}
	trust := control(t, "", Required{Name: "dev", By: "conf", Public: small})
	_, err := verify(t, build1(t, fullSpec(), "rsa2048"), trust)
	require.ErrorIs(t, err, format.ErrWeak)
}

func TestVerifyRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spec   func(*Spec)
		change func(*fdt.Draft)
		want   error
	}{
		"sha1 of the data":            {func(s *Spec) { s.Parts[0].Hashes = []string{"sha1"} }, nil, format.ErrWeak},
		"crc32 of the data":           {func(s *Spec) { s.Parts[1].Hashes = []string{"crc32"} }, nil, format.ErrWeak},
		"sha1 under the signature":    {func(s *Spec) { s.Digest = "sha1" }, nil, format.ErrWeak},
		"no hash":                     {func(s *Spec) { s.Parts[1].Hashes = []string{} }, nil, format.ErrNotBound},
		"no image":                    {func(s *Spec) { s.Configurations[0].Uses = nil }, nil, format.ErrMalformed},
		"unsigned":                    {func(s *Spec) { s.Configurations[0].Unsigned = true }, nil, format.ErrUnsigned},
		"no default":                  {func(s *Spec) { s.Default = "" }, nil, format.ErrMalformed},
		"unit address":                {func(s *Spec) { s.Parts[3].Name, s.Configurations[0].Uses[2].Parts = "rootfs@1", []string{"rootfs@1"} }, nil, format.ErrMalformed},
		"hashed-strings gone":         {nil, func(d *fdt.Draft) { sig(d).Unset("hashed-strings") }, format.ErrBadSignature},
		"hashed-strings one byte":     {nil, func(d *fdt.Draft) { sig(d).SetCells("hashed-strings", 0, 1) }, format.ErrBadSignature},
		"unknown digest":              {nil, func(d *fdt.Draft) { sig(d).SetText("algo", "sha3,ecdsa256") }, format.ErrAlgorithm},
		"unknown padding":             {nil, func(d *fdt.Draft) { sig(d).SetText("padding", "oaep") }, format.ErrAlgorithm},
		"ignored hash":                {nil, func(d *fdt.Draft) { d.Find("/images/fdt-1/hash-1").Set("uboot-ignore", nil) }, format.ErrBadSignature},
		"short signature":             {nil, func(d *fdt.Draft) { sig(d).Set("value", make([]byte, 63)) }, format.ErrBadSignature},
		"empty signature":             {nil, func(d *fdt.Draft) { sig(d).Set("value", nil) }, format.ErrUnsigned},
		"roothash changed":            {nil, func(d *fdt.Draft) { d.Find("/images/rootfs/dm-verity").SetText("roothash", "11") }, format.ErrBadSignature},
		"a loadable more":             {nil, func(d *fdt.Draft) { d.Find("/configurations/conf-1").SetText("loadables", "rootfs", "fdt-2") }, format.ErrBadSignature},
		"an image of an unknown kind": {nil, func(d *fdt.Draft) { d.Find("/configurations/conf-1").SetText("tee", "fdt-2") }, format.ErrBadSignature},
	} {
		spec := fullSpec()
		if tc.spec != nil {
			tc.spec(&spec)
		}
		change := tc.change
		if change == nil {
			change = func(*fdt.Draft) {}
		}
		_, err := verify(t, edited(t, spec, change), bare(t, "p256"))
		require.ErrorIs(t, err, tc.want, name)
	}
}

// TestLeftOut is what mkimage before 2026 signs when sign-images does not name all images:
// the signature is good over less than what is booted.
func TestLeftOut(t *testing.T) {
	spec := fullSpec()
	loadables := spec.Configurations[0].Uses[2]
	spec.Configurations[0].Uses = spec.Configurations[0].Uses[:2]
	tree, err := fdt.Parse(format.FromBytes(build1(t, spec, "p256")))
	require.NoError(t, err)
	d, err := tree.Draft(1 << 20)
	require.NoError(t, err)
	d.Find("/configurations/conf-1").SetText(loadables.As, loadables.Parts...)
	b, err := scheme{}.sign(d, nil, 0, []string{"conf-1"}, signer(t, "p256"))
	require.NoError(t, err)
	// Sign again over the nodes without the loadable.
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	c := img.configs[0]
	listed := img.mustCover(c)
	delete(listed, img.tree.Find("/images/rootfs"))
	delete(listed, img.tree.Find("/images/rootfs/hash-1"))
	delete(listed, img.tree.Find("/images/rootfs/dm-verity"))
	digest, err := img.digest(img.cover(listed), c.signatures[0].strings, crypto.SHA256)
	require.NoError(t, err)
	value, err := scheme{}.value(signer(t, "p256"), crypto.SHA256, digest)
	require.NoError(t, err)
	copy(b[c.signatures[0].node.Property("value").Value:], value)
	list := c.signatures[0].node.Property(nodesProp)
	text := strings.ReplaceAll(string(b[list.Value:list.Value+list.Size]), "/images/rootfs", "/images/r00tfs")
	copy(b[list.Value:], text)

	report, err := verify(t, b, bare(t, "p256"))
	require.ErrorIs(t, err, format.ErrNotBound)
	assert.Contains(t, strings.Join(report.Image.Notes, "\n"), "leaves out /images/rootfs")
}

func TestConfigurationThatIsBooted(t *testing.T) {
	spec := fullSpec()
	spec.Configurations[1].Unsigned = true
	b := build1(t, spec, "p256")
	trust := bare(t, "p256")
	report, err := verify(t, b, trust)
	require.NoError(t, err)
	assert.Contains(t, report.Image.Notes, "configurations without a signature, which a device must refuse to boot: conf-2")
	trust.Configuration = "conf-2"
	_, err = verify(t, b, trust)
	require.ErrorIs(t, err, format.ErrUnsigned)
	trust.Configuration = "conf-3"
	_, err = verify(t, b, trust)
	require.ErrorIs(t, err, format.ErrMalformed)

	trust.Configuration = "conf-2"
	report, err = verify(t, build1(t, fullSpec(), "p256"), trust)
	require.NoError(t, err)
	assert.Equal(t, []string{"compatible=vendor,board-b"}, report.Image.Targets)
}

// TestNamesLeftOut is a good signature over the nodes without the names of their
// properties: what is called load today could be called anything tomorrow.
func TestNamesLeftOut(t *testing.T) {
	b := build1(t, fullSpec(), "p256")
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	c := img.configs[0]
	for _, names := range []int64{0, 20, img.tree.Header.StringsSize} {
		digest, err := img.digest(img.cover(img.mustCover(c)), names, crypto.SHA256)
		require.NoError(t, err)
		value, err := scheme{}.value(signer(t, "p256"), crypto.SHA256, digest)
		require.NoError(t, err)
		n := c.signatures[0].node
		copy(b[n.Property("value").Value:], value)
		binary.BigEndian.PutUint32(b[n.Property(stringsProp).Value+4:], uint32(names))
		_, err = verify(t, b, bare(t, "p256"))
		if names < img.tree.Header.StringsSize {
			require.ErrorIs(t, err, format.ErrNotBound, names)
		} else {
			require.NoError(t, err)
		}
	}
}

// TestPSSWithAnotherSalt: only the lengths that mkimage has used are taken.
func TestPSSWithAnotherSalt(t *testing.T) {
	spec := fullSpec()
	spec.PSS = true
	b := build1(t, spec, "rsa2048")
	img, err := OpenUnverified(format.FromBytes(b))
	require.NoError(t, err)
	c := img.configs[0]
	digest, err := img.digest(img.cover(img.mustCover(c)), c.signatures[0].strings, crypto.SHA256)
	require.NoError(t, err)
	for salt, want := range map[int]error{20: format.ErrBadSignature, 221: format.ErrBadSignature, 32: nil, 222: nil} {
		value, err := rsa.SignPSS(rand.Reader, signer(t, "rsa2048").(*rsa.PrivateKey), crypto.SHA256, digest, &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		require.NoError(t, err)
		copy(b[c.signatures[0].node.Property("value").Value:], value)
		_, err = verify(t, b, bare(t, "rsa2048"))
		require.ErrorIs(t, err, want, salt)
	}
}

func TestFindings(t *testing.T) {
	spec := fullSpec()
	spec.Digest = "sha1"
	report, err := verify(t, build1(t, spec, "rsa2048"), bare(t, "rsa2048"))
	require.ErrorIs(t, err, format.ErrWeak)
	var what []string
	for _, f := range report.Findings {
		what = append(what, f.What)
	}
	assert.Equal(t, []string{"rsa-2048", "sha1", "crc32"}, what)
	assert.Equal(t, "rsa-2048-pkcs1-sha1", report.Signature)
	assert.Equal(t, 112, report.Chain[0].Strength)
}
