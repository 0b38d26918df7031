package fit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"math"
	"math/big"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// bareKeys is where a policy of PEM keys is from.
const bareKeys = "keys"

// A policy is who has to sign what: that of one control device tree, or of bare keys.
type policy struct {
	from  string
	any   bool      // one of conf is enough (required-mode)
	conf  []keyNode // have to sign the configuration
	image []keyNode // each has to sign every image
}

// A keyNode is one key of it.
type keyNode struct {
	public  crypto.PublicKey
	key     format.Key // zero if the key is too weak to be one
	name    string
	algo    string // "sha256,rsa2048"; empty: what fits the key
	padding string // empty: either
}

// policies reads the anchors. Where there is a control device tree, it decides alone: it
// is what the device goes by. Bare keys each may sign a configuration.
func policies(trust format.Trust) ([]policy, error) {
	if own := trust.Own[Name]; len(own) > 0 {
		var all []policy
		for _, a := range own {
			p, err := readControl(a)
			if err != nil {
				return nil, err
			}
			all = append(all, p)
		}
		return all, nil
	}
	p := policy{from: bareKeys, any: true}
	for _, k := range trust.Keys.All() {
		p.conf = append(p.conf, keyNode{public: k.Public, key: k, name: k.Fingerprint[:16]})
	}
	return []policy{p}, nil
}

// isControl tells whether b is a control device tree with keys.
func isControl(b []byte) bool {
	if !fdt.Is(b) {
		return false
	}
	t, err := fdt.Parse(format.FromBytes(b))
	return err == nil && t.Find("/signature") != nil && t.Find(imagesPath) == nil
}

func readControl(a format.Anchor) (policy, error) {
	p := policy{from: a.From}
	t, err := fdt.Parse(format.FromBytes(a.Bytes))
	if err != nil {
		return p, format.Wrap(format.ErrNoTrustedKey, "control device tree %s: %v", a.From, err)
	}
	keys := t.Find("/signature")
	if keys == nil {
		return p, format.Wrap(format.ErrNoTrustedKey, "control device tree %s has no /signature", a.From)
	}
	mode, err := t.Text(keys.Property("required-mode"))
	if err != nil || mode != "" && mode != "any" && mode != "all" {
		return p, format.Wrap(format.ErrNoTrustedKey, "control device tree %s: required-mode %.20q is neither any nor all", a.From, mode)
	}
	p.any = mode == "any"
	for _, n := range keys.Children {
		required, err := t.Text(n.Property("required"))
		if err != nil {
			return p, format.Wrap(format.ErrNoTrustedKey, "control device tree %s: %v", a.From, err)
		}
		if required != "conf" && required != "image" {
			continue // U-Boot asks for no signature of such a key
		}
		k, err := readKey(t, n, a.From)
		if err != nil {
			return p, format.Wrap(format.ErrNoTrustedKey, "control device tree %s: key %s: %v", a.From, n.Name, err)
		}
		if required == "conf" {
			p.conf = append(p.conf, k)
		} else {
			p.image = append(p.image, k)
		}
	}
	return p, nil
}

// readKey reads a key as mkimage -K writes it (lib/rsa/rsa-sign.c, lib/ecdsa/ecdsa-libcrypto.c).
func readKey(t *fdt.Tree, n *fdt.Node, from string) (keyNode, error) {
	k := keyNode{name: n.Name}
	var err error
	if k.algo, err = t.Text(n.Property("algo")); err != nil {
		return k, err
	}
	if k.padding, err = t.Text(n.Property("padding")); err != nil {
		return k, err
	}
	switch {
	case n.Property("rsa,modulus") != nil:
		k.public, err = readRSA(t, n)
	case n.Property("ecdsa,curve") != nil:
		k.public, err = readECDSA(t, n)
	default:
		err = format.Malformed("neither rsa,modulus nor ecdsa,curve")
	}
	if err != nil {
		return k, err
	}
	var one format.Keys
	if err := one.Add(k.public, from); err != nil {
		if len(format.WeakKey(k.public)) > 0 {
			return k, nil // told as too weak by whoever uses it
		}
		return k, err
	}
	k.key = one.All()[0]
	return k, nil
}

const maxModulus = 16384 / 8

func readRSA(t *fdt.Tree, n *fdt.Node) (crypto.PublicKey, error) {
	modulus, err := t.Bytes(n.Property("rsa,modulus"), maxModulus)
	if err != nil {
		return nil, err
	}
	bits, err := t.Cells(n.Property("rsa,num-bits"))
	if err != nil {
		return nil, err
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	if len(bits) != 1 || int64(bits[0]) != int64(public.N.BitLen()) || len(modulus)*8 != public.N.BitLen() {
		return nil, format.Malformed("modulus of %d bits in %d bytes does not fit rsa,num-bits", public.N.BitLen(), len(modulus))
	}
	if p := n.Property("rsa,exponent"); p != nil {
		b, err := t.Bytes(p, 8)
		if err != nil {
			return nil, err
		}
		if len(b) != 8 || binary.BigEndian.Uint64(b) > math.MaxInt32 || binary.BigEndian.Uint64(b) < 3 {
			return nil, format.Malformed("rsa,exponent %x", b)
		}
		public.E = int(binary.BigEndian.Uint64(b))
	}
	return public, nil
}

func readECDSA(t *fdt.Tree, n *fdt.Node) (crypto.PublicKey, error) {
	name, err := t.Text(n.Property("ecdsa,curve"))
	if err != nil {
		return nil, err
	}
	curve, ok := map[string]elliptic.Curve{
		"prime256v1": elliptic.P256(), "secp384r1": elliptic.P384(), "secp521r1": elliptic.P521(),
	}[name]
	if !ok {
		return nil, format.Malformed("ecdsa,curve %.20q", name)
	}
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // uncompressed: SEC 1 section 2.3.3
	for _, axis := range []string{"ecdsa,x-point", "ecdsa,y-point"} {
		b, err := t.Bytes(n.Property(axis), int64(size))
		if err != nil {
			return nil, err
		}
		if len(b) != size {
			return nil, format.Malformed("%s of %d bytes, want %d", axis, len(b), size)
		}
		point = append(point, b...)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}
