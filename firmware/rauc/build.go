package rauc

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/cms"
)

// A Spec is what Build makes a bundle from.
type Spec struct {
	Kind       Kind // plain where empty
	Payload    []byte
	Compatible string
	Version    string
	Images     []ImageEntry
	Extra      string // more lines of the manifest
	Salt       []byte // of the hash tree; random where empty
	CryptKey   string // of crypt: hex; the payload is taken as it is
	Sign       cms.SignOptions
}

// Manifest is the text of the manifest, of verity and crypt with the root and size of a tree.
func (s Spec) manifest(root []byte, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[update]\ncompatible=%s\n", s.Compatible)
	if s.Version != "" {
		fmt.Fprintf(&b, "version=%s\n", s.Version)
	}
	fmt.Fprintf(&b, "\n[bundle]\nformat=%s\n", s.Kind)
	if s.Kind != Plain {
		fmt.Fprintf(&b, "verity-hash=%x\nverity-salt=%x\nverity-size=%d\n", root, s.Salt, size)
	}
	if s.Kind == Crypt {
		fmt.Fprintf(&b, "crypt-key=%s\n", s.CryptKey)
	}
	for _, i := range s.Images {
		fmt.Fprintf(&b, "\n[image.%s]\nsha256=%s\nsize=%d\nfilename=%s\n", i.Slot, i.SHA256, i.Size, i.Filename)
	}
	return b.String() + s.Extra
}

// Build makes a bundle. The payload of a plain one holds its manifest itself (see
// rauc bundle); Build takes any, padded with zeros to whole blocks.
func Build(s Spec) ([]byte, error) {
	if s.Kind == "" {
		s.Kind = Plain
	}
	payload := slices.Clone(s.Payload)
	if short := len(payload) % blockSize; short != 0 {
		payload = append(payload, make([]byte, blockSize-short)...)
	}
	content := payload
	s.Sign.Detached = s.Kind == Plain
	if s.Kind != Plain {
		if len(payload) < 2*blockSize {
			return nil, fmt.Errorf("build rauc bundle: %d bytes of payload, a hash tree needs two blocks", len(payload))
		}
		if err := s.random(); err != nil {
			return nil, err
		}
		tree, root := makeTree(payload, s.Salt)
		content, payload = []byte(s.manifest(root, len(tree))), append(payload, tree...)
	}
	sig, err := cms.Sign(bytes.NewReader(content), s.Sign)
	if err != nil {
		return nil, fmt.Errorf("build rauc bundle: %w", err)
	}
	return appendSignature(payload, sig), nil
}

// random fills in what has to be unpredictable.
func (s *Spec) random() error {
	if s.Salt == nil {
		s.Salt = make([]byte, hashSize)
		if _, err := rand.Read(s.Salt); err != nil {
			return err
		}
	}
	if s.Kind == Crypt && s.CryptKey == "" {
		key := make([]byte, hashSize)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		s.CryptKey = hex.EncodeToString(key)
	}
	return nil
}

// appendSignature puts signature and size behind the payload.
func appendSignature(payload, sig []byte) []byte {
	return binary.BigEndian.AppendUint64(slices.Concat(payload, sig), uint64(len(sig)))
}
