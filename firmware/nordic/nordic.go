// Package nordic tells whether a Nordic secure DFU package (nrfutil pkg generate) is what its
// maker signed: a strict reader of the zip, of its manifest and of the init packets, a
// verifier, a writer. Where two readers could see different things (a member or field twice), it
// refuses. It never unpacks anything to disk.
package nordic

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"assay/firmware/format"
)

const name = "nordic-dfu"

// Format describes the packages to the front door.
func Format() format.Format {
	return format.Format{
		Name:   name,
		Detect: detect,
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := open(in)
			if err != nil {
				return nil, fmt.Errorf("open Nordic DFU package of %d bytes: %w", in.Size(), err)
			}
			return img, nil
		},
		Compare:  compareVersions,
		Variants: variants(),
	}
}

// Limits: the largest chip has 2 MB of flash, init packets have some hundred bytes.
const (
	maxMembers  = 32
	maxManifest = 64 << 10
	maxInit     = 4 << 10
	maxFirmware = 64 << 20

	manifestName = "manifest.json"
	zipEndSize   = 22
)

// detect looks for a manifest that names init packets.
func detect(in format.Input) bool {
	if !bytes.HasPrefix(in.Head(4), []byte("PK\x03\x04")) {
		return false
	}
	z, err := zip.NewReader(in.Section(0, in.Size()), in.Size())
	if err != nil {
		// A cut package still begins with its members.
		head := in.Head(4096)
		return bytes.Contains(head, []byte(manifestName)) && bytes.Contains(head, []byte(`"dat_file"`))
	}
	for _, f := range z.File {
		if f.Name == manifestName {
			b, err := read(f, maxManifest)
			return err == nil && bytes.Contains(b, []byte(`"dat_file"`))
		}
	}
	return false
}

// An Image is one parsed package.
type Image struct {
	in     format.Input
	parts  []part
	extra  []string // members that the manifest does not name
	legacy bool
}

// A part is one firmware with its init packet.
type part struct {
	kind     string // application, bootloader, softdevice, softdevice_bootloader
	dat, bin string
	firmware *zip.File
	packet   packet
	raw      []byte // the init packet
}

// kinds are the parts of a package in the order in which a device takes them.
var kinds = []string{"softdevice_bootloader", "softdevice", "bootloader", "application", "external_application"}

func open(in format.Input) (*Image, error) {
	if err := checkEnds(in.Source); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(in.Section(0, in.Size()), in.Size())
	if err != nil {
		return nil, format.Malformed("%v", err)
	}
	members, err := index(z)
	if err != nil {
		return nil, err
	}
	img := &Image{in: in}
	if members[manifestName] == nil {
		return nil, format.Malformed("no %s", manifestName)
	}
	text, err := read(members[manifestName], maxManifest)
	if err != nil {
		return nil, err
	}
	if err := img.readManifest(text); err != nil {
		return nil, err
	}
	used := []string{manifestName}
	for i := range img.parts {
		if err := img.parts[i].load(members); err != nil {
			return nil, err
		}
		used = append(used, img.parts[i].dat, img.parts[i].bin)
	}
	for _, f := range z.File {
		if !slices.Contains(used, f.Name) {
			img.extra = append(img.extra, f.Name)
		}
	}
	return img, nil
}

// checkEnds wants a zip that fills its file: nothing before its first member, nothing behind its directory.
func checkEnds(s format.Source) error {
	head, err := s.Bytes(0, 4)
	if err != nil || string(head) != "PK\x03\x04" {
		return format.Malformed("no zip member at the start")
	}
	end, err := s.Bytes(s.Size()-zipEndSize, zipEndSize)
	if err != nil || !bytes.HasPrefix(end, []byte("PK\x05\x06")) || end[20] != 0 || end[21] != 0 {
		return format.Malformed("the zip's directory does not end the file, or a comment stands behind it")
	}
	return nil
}

func index(z *zip.Reader) (map[string]*zip.File, error) {
	if len(z.File) > maxMembers {
		return nil, format.Malformed("%d members", len(z.File))
	}
	members := map[string]*zip.File{}
	for _, f := range z.File {
		if f.Name == "" || f.Name != path.Base(f.Name) || strings.ContainsAny(f.Name, "\\\x00") || f.Name == ".." || !f.Mode().IsRegular() {
			return nil, format.Malformed("member %.80q is no plain file name", f.Name)
		}
		if members[f.Name] != nil {
			return nil, format.Malformed("member %.80q twice", f.Name)
		}
		members[f.Name] = f
	}
	return members, nil
}

// read returns a member of at most limit bytes, whatever its header says.
func read(f *zip.File, limit int64) ([]byte, error) {
	if f.UncompressedSize64 > uint64(limit) {
		return nil, format.Malformed("member %.80q of %d bytes, at most %d are read", f.Name, f.UncompressedSize64, limit)
	}
	r, err := f.Open()
	if err != nil {
		return nil, format.Malformed("member %.80q: %v", f.Name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, format.Malformed("member %.80q: %v", f.Name, err)
	}
	return b, nil
}

// readManifest takes a JSON object in which no name occurs twice.
func (img *Image) readManifest(text []byte) error {
	if err := noDuplicates(json.NewDecoder(bytes.NewReader(text)), 0); err != nil {
		return format.Malformed("%s: %v", manifestName, err)
	}
	type files struct {
		Bin  string          `json:"bin_file"`
		Dat  string          `json:"dat_file"`
		Info json.RawMessage `json:"info_read_only_metadata"`
		Init json.RawMessage `json:"init_packet_data"` // of legacy DFU
	}
	var m struct {
		Manifest map[string]json.RawMessage `json:"manifest"`
	}
	if err := strict(text, &m); err != nil {
		return format.Malformed("%s: %v", manifestName, err)
	}
	for _, kind := range kinds {
		raw, ok := m.Manifest[kind]
		if !ok {
			continue
		}
		delete(m.Manifest, kind)
		var f files
		if err := strict(raw, &f); err != nil {
			return format.Malformed("%s: %s: %v", manifestName, kind, err)
		}
		img.legacy = img.legacy || f.Init != nil
		img.parts = append(img.parts, part{kind: kind, dat: f.Dat, bin: f.Bin})
	}
	if _, ok := m.Manifest["dfu_version"]; ok {
		img.legacy = true
		delete(m.Manifest, "dfu_version")
	}
	for other := range m.Manifest {
		return format.Malformed("%s names a part %.40q", manifestName, other)
	}
	if len(img.parts) == 0 {
		return format.Malformed("%s names no firmware", manifestName)
	}
	return nil
}

func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text behind the object")
	}
	return nil
}

// noDuplicates walks one value: encoding/json would silently take the last of two members.
func noDuplicates(d *json.Decoder, depth int) error {
	if depth > 8 {
		return errors.New("too deep")
	}
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			key, err := d.Token()
			if err != nil {
				return err
			}
			k := strings.ToLower(fmt.Sprint(key)) // encoding/json matches names whatever their case
			if seen[k] {
				return fmt.Errorf("member %.40q twice", k)
			}
			seen[k] = true
		}
		if err := noDuplicates(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func (p *part) load(members map[string]*zip.File) error {
	dat, bin := members[p.dat], members[p.bin]
	if dat == nil || bin == nil || p.dat == p.bin || p.dat == manifestName || p.bin == manifestName {
		return format.Malformed("%s: files %.80q and %.80q are not two members", p.kind, p.dat, p.bin)
	}
	if bin.UncompressedSize64 > maxFirmware {
		return format.Malformed("%s of %d bytes, at most %d are read", p.bin, bin.UncompressedSize64, maxFirmware)
	}
	var err error
	if p.raw, err = read(dat, maxInit); err != nil {
		return err
	}
	p.firmware = bin
	if p.packet, err = parsePacket(p.raw); err != nil {
		return fmt.Errorf("%s: %w", p.dat, err)
	}
	return nil
}
