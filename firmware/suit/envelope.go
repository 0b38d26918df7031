package suit

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"assay/firmware/format"
)

// An Image is one parsed SUIT envelope.
type Image struct {
	src      format.Source
	artifact *format.Source
	depth    int // 0, or how many envelopes it lies within

	tagged   bool
	bare     bool  // a manifest without envelope, tag 1070
	headSize int64 // of tag and map head
	members  []member

	wrapper   bool
	digest    Digest
	digestRaw []byte // what is signed: the digest as it stands in the first element
	digestAt  int64  // of that element
	digestEnd int64
	blocks    []block

	manifest    manifest
	manifestRaw []byte            // with its byte string head: what the digest is over
	severable   map[uint64][]byte // members beside the manifest, with their heads

	sums   map[string]Digest // of payloads, hashed once
	subs   map[int]opened    // envelopes among the payloads, by member
	needed map[int]bool      // those that are dependencies
}

// A member is one entry of the envelope.
type member struct {
	key    uint64 // of a numbered one
	name   string // of an integrated payload
	at     int64  // of its key
	value  int64  // of the byte string's head
	body   int64
	size   int64
	isName bool
}

func (m member) end() int64 { return m.body + m.size }

func (m member) label() string {
	if m.isName {
		return fmt.Sprintf("integrated payload %q", m.name)
	}
	return memberName(m.key)
}

func memberName(key uint64) string {
	names := map[uint64]string{
		keyWrapper: "authentication wrapper", keyManifest: "manifest",
		keyDependencies: "dependency resolution", keyFetch: "payload fetch", keyCandidate: "candidate verification",
		keyInstall: "install", keyText: "text", keySoftwareID: "coswid", keyValidate: "validate", keyLoad: "load",
		keyInvoke: "invoke", keyUninstall: "uninstall",
	}
	if n, ok := names[key]; ok {
		return n
	}
	return fmt.Sprintf("member %d", key)
}

// OpenUnverified parses an envelope, or a bare manifest, and checks no signature.
func OpenUnverified(in format.Input) (*Image, error) { return open(in.Source, in.Artifact, 0) }

func open(src format.Source, artifact *format.Source, depth int) (*Image, error) {
	img := &Image{
		src: src, artifact: artifact, depth: depth,
		severable: map[uint64][]byte{}, sums: map[string]Digest{}, subs: map[int]opened{}, needed: map[int]bool{},
	}
	if err := img.parse(); err != nil {
		return nil, fmt.Errorf("open suit envelope: %w", err)
	}
	return img, nil
}

func (img *Image) parse() error {
	major, arg, at, err := readHead(img.src, 0)
	if err != nil {
		return err
	}
	if major == majorTag && arg == tagManifest {
		return img.parseBare(at)
	}
	if img.tagged = major == majorTag; img.tagged {
		if arg != tagEnvelope {
			return format.Malformed("tag %d, an envelope has %d", arg, tagEnvelope)
		}
		var n int64
		if major, arg, n, err = readHead(img.src, at); err != nil {
			return err
		}
		at += n
	}
	if major != majorMap {
		return format.Malformed("no map where the envelope should be")
	}
	if arg > maxMembers {
		return format.Malformed("envelope of %d members, at most %d are read", arg, maxMembers)
	}
	img.headSize = at
	if err := img.parseMembers(at, int(arg)); err != nil {
		return err
	}
	return img.readMembers()
}

func (img *Image) parseBare(at int64) error {
	img.tagged, img.bare, img.headSize = true, true, at
	if img.src.Size() > maxMember {
		return format.Malformed("manifest of %d bytes, at most %d are read", img.src.Size(), maxMember)
	}
	b, err := img.src.Bytes(at, img.src.Size()-at)
	if err != nil {
		return err
	}
	if n, err := item(b, 0); err == nil && n < len(b) {
		return format.Wrap(format.ErrTrailing, "%d bytes behind the manifest", len(b)-n)
	}
	img.manifestRaw = encode(b)
	return inside("manifest", img.manifest.parse(b))
}

// parseMembers finds the members without reading them: a payload may be large.
func (img *Image) parseMembers(at int64, count int) error {
	var order keyOrder
	for range count {
		m := member{at: at}
		key, err := img.parseKey(&m)
		if err != nil {
			return inside("envelope", err)
		}
		switch {
		case !m.isName && m.key < keyWrapper:
			err = format.Malformed("member %d, which stood for a delegation in old drafts", m.key)
		case !m.isName && m.key == keyWrapper && len(img.members) > 0:
			err = format.Malformed("the authentication wrapper does not come first, or comes twice")
		default:
			err = order.next(key)
		}
		if err != nil {
			return inside("envelope", err)
		}
		major, size, n, err := readHead(img.src, m.value)
		if err != nil {
			return inside(m.label(), err)
		}
		if major != majorBytes {
			return format.Malformed("%s is no byte string", m.label())
		}
		m.body = m.value + n
		if size > uint64(img.src.Size()-m.body) {
			return format.Malformed("%s has %d bytes, the file only %d more", m.label(), size, img.src.Size()-m.body)
		}
		m.size = int64(size)
		img.members = append(img.members, m)
		at = m.end()
	}
	if at != img.src.Size() {
		return format.Wrap(format.ErrTrailing, "%d bytes behind the envelope", img.src.Size()-at)
	}
	return nil
}

func (img *Image) parseKey(m *member) ([]byte, error) {
	major, arg, n, err := readHead(img.src, m.at)
	if err != nil {
		return nil, err
	}
	m.value = m.at + n
	switch {
	case major == majorUint:
		m.key = arg
	case major == majorText && arg <= maxName:
		text, err := img.src.Bytes(m.value, int64(arg))
		if err != nil {
			return nil, err
		}
		m.isName, m.name, m.value = true, string(text), m.value+int64(arg)
		if !utf8.ValidString(m.name) {
			return nil, format.Malformed("a member name at offset %d that is no UTF-8", m.at)
		}
	default:
		return nil, format.Malformed("a member key at offset %d that is neither a number nor a short name", m.at)
	}
	return img.src.Bytes(m.at, m.value-m.at)
}

// readMembers reads all but the payloads.
func (img *Image) readMembers() error {
	for _, m := range img.members {
		if m.isName {
			continue
		}
		if m.size > maxMember {
			return format.Malformed("%s of %d bytes, at most %d are read", m.label(), m.size, maxMember)
		}
		raw, err := img.src.Bytes(m.value, m.end()-m.value)
		if err != nil {
			return err
		}
		switch m.key {
		case keyWrapper:
			err = img.parseWrapper(m, raw[m.body-m.value:])
		case keyManifest:
			img.manifestRaw = raw
			err = img.manifest.parse(raw[m.body-m.value:])
		default:
			img.severable[m.key] = raw
		}
		if err != nil {
			return inside(m.label(), err)
		}
	}
	if img.manifestRaw == nil {
		return format.Malformed("no manifest in the envelope")
	}
	return img.parseSeverable()
}

// parseSeverable reads the sequences that stand beside the manifest, as strictly as those in it.
func (img *Image) parseSeverable() error {
	for key, raw := range img.severable {
		body, err := asBytes(raw)
		if err != nil {
			return inside(memberName(key), err)
		}
		if _, inline := img.manifest.inline[key]; inline {
			return format.Malformed("%s stands in the manifest and beside it", memberName(key))
		}
		if !isSequence(key) {
			if err := strict.Wellformed(body); err != nil {
				return format.Malformed("%s: %v", memberName(key), err)
			}
			continue
		}
		seq, err := img.manifest.parseSequence(body)
		if err != nil {
			return inside(memberName(key), err)
		}
		img.manifest.sequences[key] = seq
	}
	return nil
}

func (img *Image) parseWrapper(m member, b []byte) error {
	img.wrapper = true
	if err := deterministic(b); err != nil {
		return err
	}
	elements, err := asList(b)
	if err != nil {
		return err
	}
	if len(elements) == 0 {
		return format.Malformed("no digest")
	}
	if img.digestRaw, err = asBytes(elements[0]); err != nil {
		return inside("digest", err)
	}
	if img.digest, err = parseDigest(img.digestRaw); err != nil {
		return inside("digest", err)
	}
	img.digestAt = m.body + int64(len(writeHead(majorArray, uint64(len(elements)))))
	img.digestEnd = img.digestAt + int64(len(elements[0]))
	for i, e := range elements[1:] {
		body, err := asBytes(e)
		if err != nil {
			return inside(fmt.Sprintf("authentication block %d", i+1), err)
		}
		blk, err := parseBlock(body)
		if err != nil {
			return inside(fmt.Sprintf("authentication block %d", i+1), err)
		}
		img.blocks = append(img.blocks, blk)
	}
	return nil
}

// payload finds the member that a URI names.
func (img *Image) payload(uri string) (int, bool) {
	for i, m := range img.members {
		if m.isName && m.name == uri {
			return i, true
		}
	}
	return 0, false
}

// local holds for URIs that can only mean a part of the envelope.
func local(uri string) bool { return strings.HasPrefix(uri, "#") }
