package fit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// valueSize is the length of the signatures of a key.
func valueSize(public crypto.PublicKey) int {
	switch p := public.(type) {
	case *rsa.PublicKey:
		return p.Size()
	case *ecdsa.PublicKey:
		return 2 * ((p.Curve.Params().BitSize + 7) / 8)
	}
	return 0
}

// value signs a digest.
func (how scheme) value(key crypto.Signer, h crypto.Hash, digest []byte) ([]byte, error) {
	var opts crypto.SignerOpts = h
	if p, ok := key.Public().(*rsa.PublicKey); ok && how.pss {
		opts = &rsa.PSSOptions{SaltLength: maxSalt(p, h), Hash: h}
	}
	sig, err := key.Sign(rand.Reader, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if _, ok := key.Public().(*ecdsa.PublicKey); !ok {
		return sig, nil
	}
	var pair struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &pair); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("sign: the key's answer is no ECDSA signature: %w", format.ErrAlgorithm)
	}
	half := valueSize(key.Public()) / 2
	return append(pair.R.FillBytes(make([]byte, half)), pair.S.FillBytes(make([]byte, half))...), nil
}

// A Required is one key of a control device tree.
type Required struct {
	Name   string // of the node, and the hint
	By     string // conf or image
	Public crypto.PublicKey
	Digest string // of its algo; empty means sha256
}

// Control makes a control device tree that requires the keys, as mkimage -K writes it; one
// of them is enough where enough is "any".
func Control(enough string, keys ...Required) ([]byte, error) {
	root := &fdt.Item{}
	root.SetText("model", "control device tree")
	node := root.Add("signature")
	if enough != "" {
		node.SetText("required-mode", enough)
	}
	for _, k := range keys {
		n := node.Add("key-" + k.Name)
		n.SetText("required", k.By)
		n.SetText("algo", scheme{digest: k.Digest}.digestName()+","+keyAlgorithm(k.Public))
		n.SetText(hintProp, k.Name)
		switch p := k.Public.(type) {
		case *rsa.PublicKey:
			writeRSA(n, p)
		case *ecdsa.PublicKey:
			point, err := p.Bytes()
			if err != nil {
				return nil, fmt.Errorf("write control device tree: %w", err)
			}
			half := (len(point) - 1) / 2
			names := map[int]string{256: "prime256v1", 384: "secp384r1", 521: "secp521r1"}
			n.SetText("ecdsa,curve", names[p.Curve.Params().BitSize])
			n.Set("ecdsa,x-point", point[1:1+half])
			n.Set("ecdsa,y-point", point[1+half:])
		default:
			return nil, fmt.Errorf("write control device tree: key %T: %w", k.Public, format.ErrAlgorithm)
		}
	}
	return (&fdt.Draft{Root: root}).Encode()
}

// writeRSA writes the numbers that U-Boot computes with: the modulus, its inverse modulo
// 2^32 and the square of the Montgomery radius (lib/rsa/rsa-mod-exp.c).
func writeRSA(n *fdt.Item, p *rsa.PublicKey) {
	bits := p.N.BitLen()
	radix := new(big.Int).Lsh(big.NewInt(1), 32)
	inverse := new(big.Int).ModInverse(new(big.Int).Mod(p.N, radix), radix)
	inverse.Sub(radix, inverse)
	square := new(big.Int).Lsh(big.NewInt(1), uint(2*bits))
	square.Mod(square, p.N)
	n.SetCells("rsa,num-bits", uint32(bits))
	n.Set("rsa,modulus", p.N.Bytes())
	n.Set("rsa,exponent", binary.BigEndian.AppendUint64(nil, uint64(p.E)))
	n.Set("rsa,r-squared", square.FillBytes(make([]byte, bits/8)))
	n.SetCells("rsa,n0-inverse", uint32(inverse.Uint64()))
}

func splitText(b []byte) []string {
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
}
