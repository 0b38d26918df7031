package suit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"

	"github.com/fxamacker/cbor/v2"

	"assay/firmware/format"
)

// A Spec is what Build needs to make an envelope with one component.
type Spec struct {
	Sequence  uint64
	ID        []byte // suit-manifest-component-id, of one part; empty: none
	Component []byte // identifier of one part; empty: 00
	VendorID  []byte // 16 bytes
	ClassID   []byte // 16 bytes
	Payload   []byte
	URI       string // "#name" carries the payload in the envelope; else it lies there
	Reference string
	Text      string // description, severable
	Severable bool   // the install sequence stands beside the manifest
	Algorithm int64  // of all digests; 0 is SHA-256

	Dependency []byte // a whole envelope, carried as #dependency and checked by the digest of its manifest
	Untagged   bool
	KeyID      []byte
	Specific   bool // name the algorithm as RFC 9864 does
}

// Build makes an envelope signed by key: ECDSA on P-256, P-384 or P-521, Ed25519, RSA with PSS.
func Build(spec Spec, key crypto.Signer) ([]byte, error) {
	return build(spec, func(payload []byte) ([]byte, error) { return signBlock(payload, key, spec.KeyID, spec.Specific) })
}

// BuildMAC makes an envelope authenticated by HMAC-SHA-256 with a shared secret.
func BuildMAC(spec Spec, secret []byte) ([]byte, error) {
	return build(spec, func(payload []byte) ([]byte, error) { return macBlock(payload, secret), nil })
}

func build(spec Spec, sign func([]byte) ([]byte, error)) ([]byte, error) {
	d, err := spec.draft()
	if err == nil {
		err = d.redigest()
	}
	if err == nil {
		var blk []byte
		if blk, err = sign(d.digest); err == nil {
			d.blocks = [][]byte{blk}
			b := d.bytes()
			// What Build makes must be what the verifier takes apart.
			if _, err = OpenUnverified(format.Input{Source: format.FromBytes(b)}); err == nil {
				return b, nil
			}
		}
	}
	return nil, fmt.Errorf("build suit envelope %d: %w", spec.Sequence, err)
}

// A draft is an envelope that is being made or changed.
type draft struct {
	tagged   bool
	noWrap   bool
	digest   []byte
	blocks   [][]byte
	manifest []byte // without its head
	first    []byte // another manifest before it
	members  []part // beside the manifest, in order
	alg      int64
}

type part struct {
	key   []byte // encoded
	value []byte // without its head
}

func (d *draft) redigest() error {
	sum, err := digestOf(d.alg, encode(d.manifest))
	d.digest = sum.encode()
	return err
}

// bytes writes the envelope.
func (d *draft) bytes() []byte {
	var b bytes.Buffer
	if d.tagged {
		b.Write(writeHead(majorTag, tagEnvelope))
	}
	n := len(d.members) + 1
	if !d.noWrap {
		n++
	}
	if d.first != nil {
		n++
	}
	b.Write(writeHead(majorMap, uint64(n)))
	if !d.noWrap {
		b.Write(encode(keyWrapper))
		b.Write(encode(encode(append([][]byte{d.digest}, d.blocks...))))
	}
	for _, m := range [][]byte{d.first, d.manifest} {
		if m != nil {
			b.Write(encode(keyManifest))
			b.Write(encode(m))
		}
	}
	for _, m := range d.members {
		b.Write(m.key)
		b.Write(writeHead(majorBytes, uint64(len(m.value))))
		b.Write(m.value)
	}
	return b.Bytes()
}

type entry map[uint64]any

func (spec Spec) draft() (*draft, error) {
	if spec.Algorithm == 0 {
		spec.Algorithm = SHA256
	}
	if len(spec.VendorID) != 16 || len(spec.ClassID) != 16 {
		return nil, fmt.Errorf("vendor id of %d and class id of %d bytes, want 16", len(spec.VendorID), len(spec.ClassID))
	}
	image, err := digestOf(spec.Algorithm, spec.Payload)
	if err != nil {
		return nil, err
	}
	component := spec.Component
	if len(component) == 0 {
		component = []byte{0}
	}
	const report = 15
	begin := []any{dirIndex, 0}
	shared := append(slices.Clone(begin), dirOverride, entry{
		paramVendor: spec.VendorID, paramClass: spec.ClassID, paramDigest: image.encode(), paramSize: len(spec.Payload),
	}, condVendor, report, condClass, report)
	install := append(slices.Clone(begin), dirOverride, entry{paramURI: spec.URI}, dirFetch, 2, condImage, report)
	common := entry{keyCommonComponents: [][][]byte{{component}}, keyCommonShared: encode(shared)}
	if spec.Dependency != nil {
		sub, err := OpenUnverified(format.Input{Source: format.FromBytes(spec.Dependency)})
		if err != nil {
			return nil, err
		}
		common[keyCommonDependencies] = entry{1: entry{1: [][]byte{[]byte("dependency")}}}
		install = append(install, dirIndex, 1, dirOverride, entry{paramDigest: sub.digestRaw, paramURI: "#dependency"},
			dirFetch, 2, condDependency, report, dirProcess, report)
	}
	m := entry{
		keyVersion: 1, keySequence: spec.Sequence, keyCommon: encode(common),
		keyValidate: encode(append(slices.Clone(begin), condImage, report)),
		keyInvoke:   encode(append(slices.Clone(begin), dirInvoke, 2)),
		keyInstall:  encode(install),
	}
	if spec.Reference != "" {
		m[keyReference] = spec.Reference
	}
	if len(spec.ID) > 0 {
		m[keyComponentID] = [][]byte{spec.ID}
	}
	d := &draft{tagged: !spec.Untagged, alg: spec.Algorithm}
	if spec.Severable {
		if err := d.sever(m, keyInstall, encode(install)); err != nil {
			return nil, err
		}
	}
	if spec.Text != "" {
		if err := d.sever(m, keyText, encode(map[string]any{"en": entry{1: spec.Text}})); err != nil {
			return nil, err
		}
	}
	if spec.Dependency != nil {
		d.members = append(d.members, part{encode("#dependency"), spec.Dependency})
	}
	if local(spec.URI) {
		d.members = append(d.members, part{encode(spec.URI), spec.Payload})
	}
	slices.SortStableFunc(d.members, func(a, b part) int { return bytes.Compare(a.key, b.key) })
	d.manifest = encode(m)
	return d, nil
}

// sever puts a member beside the manifest, and its digest into it.
func (d *draft) sever(m entry, key uint64, body []byte) error {
	sum, err := digestOf(d.alg, encode(body))
	m[key] = cbor.RawMessage(sum.encode())
	d.members = append(d.members, part{encode(key), body})
	return err
}

func coseBlock(tag uint64, protected map[int64]any, open map[int64]any, tail func(message []byte) ([]byte, error), payload []byte) ([]byte, error) {
	blk := block{tag: tag}
	raw := encode(protected)
	value, err := tail(blk.toBeSigned(signer{headers: headers{raw: raw}}, payload))
	if err != nil {
		return nil, err
	}
	if open == nil {
		open = map[int64]any{}
	}
	return encode(cbor.Tag{Number: tag, Content: []any{raw, open, nil, value}}), nil
}

func macBlock(payload, secret []byte) []byte {
	s, _ := schemeOf(algHMAC256)
	return must(coseBlock(tagMac0, map[int64]any{labelAlgorithm: algHMAC256}, nil,
		func(message []byte) ([]byte, error) { return s.tag(secret, message), nil }, payload))
}

func signBlock(payload []byte, key crypto.Signer, keyID []byte, specific bool) ([]byte, error) {
	alg, err := algorithmFor(key.Public(), specific)
	if err != nil {
		return nil, err
	}
	open := map[int64]any{}
	if keyID != nil {
		open[labelKeyID] = keyID
	}
	return coseBlock(tagSign1, map[int64]any{labelAlgorithm: alg}, open, func(m []byte) ([]byte, error) { return signMessage(m, alg, key) }, payload)
}

// algorithmFor picks the first or the last spelling.
func algorithmFor(public crypto.PublicKey, specific bool) (int64, error) {
	var found []int64
	for _, s := range schemes() {
		if s.mac == nil && s.weak == "" && s.takes(public) {
			found = append(found, s.id)
		}
	}
	switch {
	case len(found) == 0:
		return 0, format.Wrap(format.ErrAlgorithm, "nothing signs with a %T of that kind", public)
	case specific && len(found) == 2:
		return found[1], nil
	}
	return found[0], nil
}

func signMessage(message []byte, alg int64, key crypto.Signer) ([]byte, error) {
	s, _ := schemeOf(alg)
	switch p := key.Public().(type) {
	case ed25519.PublicKey:
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	case *rsa.PublicKey:
		return key.Sign(rand.Reader, digest(s.hash, message), &rsa.PSSOptions{SaltLength: s.hash.Size(), Hash: s.hash})
	case *ecdsa.PublicKey:
		der, err := key.Sign(rand.Reader, digest(s.hash, message), s.hash)
		if err != nil {
			return nil, err
		}
		return flatten(der, (p.Curve.Params().BitSize+7)/8)
	}
	return nil, fmt.Errorf("key type %T", key.Public())
}

// flatten writes an ECDSA signature as COSE does (RFC 9053 section 2.1): r and s in n bytes each.
func flatten(der []byte, n int) ([]byte, error) {
	var sig struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &sig); err != nil || len(rest) > 0 || sig.R.Sign() < 0 || sig.S.Sign() < 0 {
		return nil, fmt.Errorf("signer returned no ECDSA signature")
	}
	out := make([]byte, 2*n)
	sig.R.FillBytes(out[:n])
	sig.S.FillBytes(out[n:])
	return out, nil
}

// draftOf takes a parsed envelope apart again.
func (img *Image) draft() (*draft, error) {
	const most = 1 << 30
	raw, err := img.src.Whole(most)
	if err != nil {
		return nil, err
	}
	d := &draft{tagged: img.tagged, noWrap: !img.wrapper, digest: img.digestRaw, alg: img.digest.Algorithm}
	for _, m := range img.members {
		body := bytes.Clone(raw[m.body:m.end()])
		switch {
		case !m.isName && m.key == keyWrapper:
			elements, err := asList(body)
			if err != nil {
				return nil, err
			}
			for _, e := range elements[1:] {
				b, err := asBytes(e)
				if err != nil {
					return nil, err
				}
				d.blocks = append(d.blocks, b)
			}
		case !m.isName && m.key == keyManifest:
			d.manifest = body
		default:
			d.members = append(d.members, part{bytes.Clone(raw[m.at:m.value]), body})
		}
	}
	return d, nil
}

// rewrite changes one map in its encoding and keeps the order of its keys.
func rewrite(b []byte, key uint64, edit func(value []byte) ([]byte, error)) ([]byte, error) {
	pairs, err := pairsOf(b)
	if err != nil {
		return nil, err
	}
	out, found := writeHead(majorMap, uint64(len(pairs))), false
	for _, p := range pairs {
		if bytes.Equal(p.key, encode(key)) {
			found = true
			if p.value, err = edit(p.value); err != nil {
				return nil, err
			}
		}
		out = append(append(out, p.key...), p.value...)
	}
	if !found {
		return nil, format.Wrap(format.ErrNotApplicable, "no element %d in the map", key)
	}
	return out, nil
}

func (d *draft) clone() *draft {
	c := *d
	c.blocks, c.members = slices.Clone(d.blocks), slices.Clone(d.members)
	return &c
}
