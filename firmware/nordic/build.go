package nordic

import (
	"archive/zip"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/big"
	"slices"
)

// A Spec is what Build needs to make a package with one application.
type Spec struct {
	Version     uint64
	Hardware    uint64
	SoftDevices []uint64
	Firmware    []byte
	Debug       bool
	CRC         bool // a CRC in place of the hash, as the proto allows
}

// Build makes a package signed by an ECDSA key on P-256; with a nil key its init packet is a plain command.
func Build(spec Spec, key crypto.Signer) ([]byte, error) {
	packet, err := sign(spec.command(), key)
	if err != nil {
		return nil, fmt.Errorf("build Nordic DFU package: %w", err)
	}
	return pack([]member{
		{"app.bin", spec.Firmware},
		{"app.dat", packet},
		{manifestName, []byte(`{"manifest": {"application": {"bin_file": "app.bin", "dat_file": "app.dat"}}}`)},
	})
}

func number(b []byte, field, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, field<<3|wireVarint), value)
}

func nested(b []byte, field uint64, value []byte) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, field<<3|wireBytes), uint64(len(value)))
	return append(b, value...)
}

// command is the serialized Command.
func (spec Spec) command() []byte {
	var packed []byte
	for _, s := range spec.SoftDevices {
		packed = binary.AppendUvarint(packed, s)
	}
	sum := sha256.Sum256(spec.Firmware)
	slices.Reverse(sum[:])
	hash := nested(number(nil, 1, hashSHA256), 2, sum[:])
	if spec.CRC {
		hash = nested(number(nil, 1, 1), 2, binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(spec.Firmware)))
	}
	init := number(number(nil, 1, spec.Version), 2, spec.Hardware)
	init = nested(init, 3, packed)
	for field := uint64(4); field <= 6; field++ {
		init = number(init, field, 0)
	}
	init = number(init, 7, uint64(len(spec.Firmware)))
	init = nested(init, 8, hash)
	debug := uint64(0)
	if spec.Debug {
		debug = 1
	}
	return nested(number(nil, 1, operationInit), 2, number(init, 9, debug))
}

func sign(command []byte, key crypto.Signer) ([]byte, error) {
	if key == nil {
		return nested(nil, 1, command), nil
	}
	if _, ok := key.Public().(*ecdsa.PublicKey); !ok {
		return nil, fmt.Errorf("a key %T signs no init packet", key.Public())
	}
	sum := sha256.Sum256(command)
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		return nil, err
	}
	r, s := pair.R.FillBytes(make([]byte, 32)), pair.S.FillBytes(make([]byte, 32))
	slices.Reverse(r)
	slices.Reverse(s)
	signed := number(nested(nil, 1, command), 2, signatureECDSA)
	return nested(nil, 2, nested(signed, 3, append(r, s...))), nil
}

// A member is one file of the zip.
type member struct {
	name string
	data []byte
}

// pack stores the members as they are, as nrfutil does.
func pack(members []member) ([]byte, error) { return packWith(members, zip.Store) }

func packWith(members []member, method uint16) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: method})
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(m.data); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
