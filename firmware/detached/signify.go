package detached

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"regexp"
	"strings"

	"assay/firmware/format"
)

// signify is a signature of OpenBSD's signify or OpenWrt's usign. Behind its two lines
// may stand the message itself (signify -S -e), often a list of checksums (signify -C).
type signify struct {
	signatureLine
	img  *Image
	head int64 // bytes of the two lines
	sums []checksum
}

// A checksum is one line of a list, as BSD's md5(1) family writes it.
type checksum struct {
	name, algorithm string
	sum             []byte
}

func signifyFormat() format.Format {
	return format.Format{
		Name:   "signify",
		Detect: func(in format.Input) bool { return bytes.HasPrefix(in.Head(64), []byte(untrustedPrefix)) },
		OpenUnverified: func(in format.Input) (format.Image, error) {
			return open(in, "signify", parseSignify)
		},
		Compare:  compareVersions,
		Anchor:   anchorsSignify,
		Variants: variants(signifyVariants...),
	}
}

// anchorsSignify leaves minisign's keys to minisign: a minisign signature whose trusted
// comment was cut off is a signify signature of the same key.
func anchorsSignify(b []byte) bool {
	_, comment, err := parseNumberedKey(b)
	return err == nil && comment != "" && !strings.Contains(comment, "minisign")
}

// maxList is the longest embedded message that is read as a list of checksums.
const maxList = 1 << 20

func parseSignify(in format.Input, img *Image) (scheme, error) {
	head := in.Head(maxComment + 256)
	if len(bytes.TrimSpace(head)) == 0 {
		_, err := whole(format.Input{Source: format.FromBytes(head)})
		return nil, err
	}
	line, rest, err := parseSignatureLine(head)
	if err != nil {
		return nil, err
	}
	if line.algorithm != algorithmPure {
		return nil, format.Malformed("algorithm %q, signify knows only %s; a minisign signature without its trusted comment?", line.algorithm, algorithmPure)
	}
	s := &signify{signatureLine: line, img: img, head: int64(len(head) - len(rest))}
	if size := in.Size() - s.head; size > 0 {
		message := format.NewSource(in.Section(s.head, size), size)
		img.embedded = &message
		if size <= maxList {
			text, err := message.Whole(maxList)
			if err != nil {
				return nil, err
			}
			s.sums = parseSums(text)
		}
	}
	return s, nil
}

var sumLine = regexp.MustCompile(`^(SHA256|SHA512|SHA512/256) \(([^()\r\n]+)\) = ([0-9a-f]+)$`)

// parseSums reads a list of checksums; nil unless every line is one.
func parseSums(text []byte) []checksum {
	var sums []checksum
	for line := range strings.Lines(string(text)) {
		m := sumLine.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			return nil
		}
		sum, err := hex.DecodeString(m[3])
		if err != nil || len(sum) != newSum(m[1]).Size() {
			return nil
		}
		sums = append(sums, checksum{name: m[2], algorithm: m[1], sum: sum})
	}
	return sums
}

func newSum(algorithm string) hash.Hash {
	switch algorithm {
	case "SHA512":
		return sha512.New()
	case "SHA512/256":
		return sha512.New512_256()
	}
	return sha256.New()
}

func (s *signify) describe(f *format.Facts) {
	f.Signature, f.KeyHint = "ed25519", keyNumber(s.number)
	f.Uncovered = append(f.Uncovered, format.Region{Name: "untrusted comment", Offset: int64(len(untrustedPrefix)), Size: int64(len(s.comment))})
	f.Fields = append(f.Fields, format.Field{Name: "untrusted comment", Value: printable(s.comment)})
	for _, c := range s.sums {
		f.Fields = append(f.Fields, format.Field{Name: "checksum of " + printable(c.name), Value: strings.ToLower(c.algorithm) + ":" + hex.EncodeToString(c.sum), Protected: true})
	}
	f.Notes = append(f.Notes,
		"The untrusted comment is not authenticated: anybody may have written it.",
		"The signature tells neither version nor device: it keeps no older release out.")
	if s.img.embedded != nil {
		f.Covered = append(f.Covered, format.Region{Name: "embedded message", Offset: s.head, Size: s.img.embedded.Size()})
	}
	if len(s.sums) > 1 {
		f.Notes = append(f.Notes, "The list vouches for several files: a device must look its own up by name, or another file of the release passes for it.")
	}
}

func (s *signify) verify(trust format.Trust, artifact format.Source, r *format.Report) error {
	signed := artifact
	if s.img.embedded != nil {
		signed = *s.img.embedded
	}
	keys, err := numbered(trust.Own["signify"], s.number)
	if err != nil {
		return err
	}
	ok := false
	for _, k := range keys {
		key, err := onlyKey(k.public, k.from)
		if err != nil {
			return err
		}
		tell(r, key)
		if ok, r.Digest, err = verifyPure(k.public, signed, s.value[:]); err != nil {
			return err
		}
		r.Chain = links(key, r.Image.Signature, r.Digest)
		if ok {
			break
		}
	}
	if !ok {
		return format.Wrap(format.ErrBadSignature, "not one of key %s", keyNumber(s.number))
	}
	if s.img.embedded != nil && s.img.in.Artifact != nil {
		if err := s.compare(artifact, r); err != nil {
			return err
		}
	}
	r.Signature = r.Image.Signature
	return nil
}

// compare tells whether the artifact is what the embedded message speaks of: one of its
// list, or the very message. Without this the file beside the signature would be anybody's.
func (s *signify) compare(artifact format.Source, r *format.Report) error {
	if len(s.sums) == 0 {
		if _, digest, err := verifyPure(make([]byte, 32), artifact, nil); err != nil {
			return err
		} else if digest != r.Digest {
			return format.Wrap(format.ErrBadHash, "the signature brings its own message along, and the file beside it is another")
		}
		return nil
	}
	hashes := map[string]hash.Hash{}
	var all []hash.Hash
	for _, c := range s.sums {
		if hashes[c.algorithm] == nil {
			hashes[c.algorithm] = newSum(c.algorithm)
			all = append(all, hashes[c.algorithm])
		}
	}
	if err := feed(artifact, all...); err != nil {
		return err
	}
	for _, c := range s.sums {
		if sum := hashes[c.algorithm].Sum(nil); bytes.Equal(sum, c.sum) {
			r.Digest = strings.ToLower(c.algorithm) + ":" + hex.EncodeToString(sum)
			r.Chain = append(r.Chain, format.Link{Kind: "hash", Name: printable(c.name), Algorithm: strings.ToLower(c.algorithm), From: "hash above"})
			r.Image.Notes = append(r.Image.Notes, "The list knows this file as "+printable(c.name)+".")
			return nil
		}
	}
	return format.Wrap(format.ErrBadHash, "the file is none of the %d that the list vouches for", len(s.sums))
}

func (s *signify) check(d format.Device) error { return checkNothing(d) }
