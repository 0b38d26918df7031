package mender

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// An Image is one artifact, taken apart as far as that is possible without reading its payloads.
type Image struct {
	in       format.Source
	members  []member
	version  int    // of the format: 2 or 3
	manifest member // what is signed
	lines    []line
	sig      *member // nil: unsigned
	rawSig   []byte  // decoded
	header   member
	augment  []member // manifest-augment and header-augment, which no signature covers
	data     []member
	info     info
}

// A line of the manifest: the SHA-256 of one file.
type line struct {
	sum  [32]byte
	name string
}

// OpenUnverified parses an artifact: the order of its members, every line of the manifest,
// and the header with all its JSON. The payloads are not read before Verify.
func OpenUnverified(in format.Input) (*Image, error) {
	img := &Image{in: in.Source}
	if err := img.parse(); err != nil {
		return nil, fmt.Errorf("open mender artifact: %w", err)
	}
	return img, nil
}

func (img *Image) parse() error {
	var err error
	if img.in.Size() == 0 {
		return fmt.Errorf("empty file: %w: %w", format.ErrUnknownFormat, format.ErrMalformed)
	}
	if img.members, err = readArchive(img.in); err != nil {
		return err
	}
	rest := img.members
	// take returns the next member if it has that name, else nil.
	take := func(name string) *member {
		if len(rest) == 0 || rest[0].name != name {
			return nil
		}
		m := rest[0]
		rest = rest[1:]
		return &m
	}
	version := take("version")
	if version == nil {
		return format.Malformed("the first member is not version")
	}
	if err := img.parseVersion(*version); err != nil {
		return err
	}
	manifest := take("manifest")
	if manifest == nil {
		return format.Malformed("no manifest behind version")
	}
	img.manifest = *manifest
	if img.lines, err = img.parseManifest(img.manifest); err != nil {
		return err
	}
	if img.sig = take("manifest.sig"); img.sig != nil {
		if img.rawSig, err = img.parseSignature(*img.sig); err != nil {
			return err
		}
	}
	augment := take("manifest-augment")
	header, kind := archiveMember(take, "header")
	if header == nil {
		return img.unexpected(rest, "header.tar")
	}
	img.header = *header
	if augment != nil {
		if err := img.parseAugment(*augment, take); err != nil {
			return err
		}
	}
	img.data = rest
	if err := img.parseHeader(kind); err != nil {
		return fmt.Errorf("%s: %w", img.header.name, err)
	}
	return img.bind()
}

func (img *Image) unexpected(rest []member, want string) error {
	if len(rest) == 0 {
		return format.Malformed("the archive ends where %s should be", want)
	}
	return format.Malformed("%.60q where %s should be", rest[0].name, want)
}

// archiveMember takes base.tar, compressed in any known way.
func archiveMember(take func(string) *member, base string) (*member, string) {
	for _, kind := range []string{None, Gzip, XZ, Zstd} {
		if m := take(base + ".tar" + kind); m != nil {
			return m, kind
		}
	}
	return nil, None
}

func (img *Image) small(m member) ([]byte, error) {
	if m.size > maxSmall {
		return nil, format.Malformed("%s has %d bytes, at most %d are read", m.name, m.size, maxSmall)
	}
	return img.in.Bytes(m.at, m.size)
}

func (img *Image) parseVersion(m member) error {
	b, err := img.small(m)
	if err != nil {
		return err
	}
	v, err := object(b, "format", "version")
	if err != nil {
		return fmt.Errorf("version: %w", err)
	}
	if v["format"] != "mender" {
		return format.Malformed("version names the format %v", v["format"])
	}
	number, isNumber := v["version"].(json.Number)
	n, err := strconv.Atoi(string(number))
	if !isNumber || err != nil || n != 2 && n != 3 {
		return format.Malformed("format version %v, known are 2 and 3", v["version"])
	}
	img.version = n
	return nil
}

// fileName is what mender-artifact accepts as the name of a payload file: no folder, no surprise.
var fileName = regexp.MustCompile(`^[0-9A-Za-z_.,-]+$`)

func validFile(name string) bool { return fileName.MatchString(name) && name != "." && name != ".." }

// parseManifest reads lines as sha256sum writes them. A reader that takes another form
// would follow other lines than the one that checks, so there is one form only.
func (img *Image) parseManifest(m member) ([]line, error) {
	b, err := img.small(m)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[len(b)-1] != '\n' {
		return nil, format.Malformed("%s does not end with a line", m.name)
	}
	var lines []line
	seen := map[string]bool{}
	for _, text := range strings.Split(string(b[:len(b)-1]), "\n") {
		if len(text) < 67 || text[64:66] != "  " || text[:64] != strings.ToLower(text[:64]) {
			return nil, format.Malformed("line %d of %s is none of sha256sum: %.100q", len(lines)+1, m.name, text)
		}
		l := line{name: text[66:]}
		if n, err := hex.Decode(l.sum[:], []byte(text[:64])); err != nil || n != 32 {
			return nil, format.Malformed("line %d of %s has no SHA-256: %.64q", len(lines)+1, m.name, text)
		}
		if seen[l.name] {
			return nil, format.Malformed("%s names %.100q twice", m.name, l.name)
		}
		if rest, isData := strings.CutPrefix(l.name, "data/"); isData && (len(rest) < 6 || rest[4] != '/' || !digits(rest[:4]) || !validFile(rest[5:])) {
			return nil, format.Malformed("%s names %.100q, which is no payload file", m.name, l.name)
		}
		seen[l.name] = true
		lines = append(lines, l)
	}
	return lines, nil
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// parseSignature decodes base64 in one line, as mender-artifact writes it; a newline may end it.
func (img *Image) parseSignature(m member) ([]byte, error) {
	if m.size > 8192 {
		return nil, format.Malformed("%s has %d bytes", m.name, m.size)
	}
	b, err := img.in.Bytes(m.at, m.size)
	if err != nil {
		return nil, err
	}
	text := bytes.TrimSuffix(b, []byte("\n"))
	if bytes.ContainsAny(text, "\r\n") {
		return nil, format.Malformed("%s has more than one line", m.name)
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil {
		return nil, format.Malformed("%s is no base64: %v", m.name, err)
	}
	return sig, nil
}

// parseAugment reads the parts that somebody may add after signing. Version 3 only.
func (img *Image) parseAugment(m member, take func(string) *member) error {
	header, _ := archiveMember(take, "header-augment")
	if img.version < 3 || header == nil {
		return format.Malformed("manifest-augment without header-augment.tar in its place")
	}
	if _, err := img.parseManifest(m); err != nil {
		return err
	}
	img.augment = []member{m, *header}
	return nil
}

// bind holds manifest, header and members against each other: the version and the
// header have their line, there is one payload archive per payload, in order, and no line
// is for something that is not there.
func (img *Image) bind() error {
	for _, name := range []string{"version", img.header.name} {
		if _, ok := img.line(name); !ok {
			return format.Malformed("the manifest has no line for %s", name)
		}
	}
	for i, m := range img.data {
		base := fmt.Sprintf("data/%04d.tar", i)
		kind, ok := strings.CutPrefix(m.name, base)
		if !ok || kind != None && kind != Gzip && kind != XZ && kind != Zstd {
			return format.Malformed("%.60q where %s should be", m.name, base)
		}
	}
	if len(img.data) != len(img.info.payloads) {
		return format.Malformed("header-info lists %d payloads, the archive has %d", len(img.info.payloads), len(img.data))
	}
	for _, l := range img.lines {
		if strings.HasPrefix(l.name, "data/") {
			if n, _ := strconv.Atoi(l.name[5:9]); n >= len(img.data) {
				return format.Malformed("the manifest names %.60q, there are %d payloads", l.name, len(img.data))
			}
		} else if l.name != "version" && l.name != img.header.name {
			return format.Malformed("the manifest names %.60q, which is not in the archive", l.name)
		}
	}
	return nil
}

func (img *Image) line(name string) (line, bool) {
	for _, l := range img.lines {
		if l.name == name {
			return l, true
		}
	}
	return line{}, false
}

// Name is the artifact's name, which is all the version that a Mender artifact has.
func (img *Image) Name() string { return img.info.name }
