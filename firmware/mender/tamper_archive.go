package mender

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"assay/firmware/format"
)

// unpack reads an inner archive as it lies in the parts.
func unpack(f File, limit int64) (kind string, files []File, err error) {
	_, kind, _ = strings.Cut(f.Name, ".tar")
	r, done, err := decompress(kind, bytes.NewReader(f.Data), limit)
	if err != nil {
		return "", nil, err
	}
	defer done()
	err = walkArchive(r, true, func(h *tar.Header, r io.Reader) error {
		b, err := io.ReadAll(r)
		files = append(files, File{h.Name, b})
		return err
	})
	return kind, files, err
}

// editPayload changes the first payload that has a file with something in it.
func (p *parts) editPayload(edit func(n int, files []File, largest int) ([]File, error)) error {
	for n := range p.data {
		kind, files, err := unpack(p.data[n], budget(int64(len(p.data[n].Data))))
		if err != nil {
			return err
		}
		largest := -1
		for i, f := range files {
			if len(f.Data) > 0 && (largest < 0 || len(f.Data) > len(files[largest].Data)) {
				largest = i
			}
		}
		if largest < 0 {
			continue
		}
		if files, err = edit(n, files, largest); err != nil {
			return err
		}
		p.data[n].Data, err = pack(kind, files)
		return err
	}
	return format.Wrap(format.ErrNotApplicable, "no payload has a file with something in it")
}

// editHeader changes the files of the header.
func (p *parts) editHeader(edit func(files []File) ([]File, error)) error {
	kind, files, err := unpack(p.header, maxHeader)
	if err != nil {
		return err
	}
	if files, err = edit(files); err != nil {
		return err
	}
	p.header.Data, err = pack(kind, files)
	return err
}

func (img *Image) flipPayload(m *format.Manifest, repaired bool) ([]byte, error) {
	says(m, format.LayerPayload, format.ErrBadHash, "a payload file does not have the hash of its line in the manifest")
	return img.rewrite(m, func(p *parts) error {
		return p.editPayload(func(n int, files []File, i int) ([]File, error) {
			at := format.Harmless(files[i].Data)
			files[i].Data[at] ^= 1
			name := fmt.Sprintf("data/%04d/%s", n, files[i].Name)
			m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d of %s, inside the archive at offset %d", at, name, img.data[n].at))
			if repaired {
				p.repair(m, name, files[i].Data)
				says(m, format.LayerSignature, format.ErrBadSignature, "manifest.sig does not fit the repaired manifest")
			}
			return files, nil
		})
	})
}

// addScript puts a state script of its own into the header. Clients that checked the
// payloads alone ran it as root.
func (img *Image) addScript(m *format.Manifest) ([]byte, error) {
	const script = "scripts/ArtifactInstall_Enter_99_assay"
	m.Classic = "MEN-1412 (header checksums not verified: state scripts could be replaced)"
	says(m, format.LayerPayload, format.ErrBadHash, "the header does not have the hash of its line in the manifest")
	return img.rewrite(m, func(p *parts) error {
		return p.editHeader(func(files []File) ([]File, error) {
			return slices.Insert(files, 1, File{script, []byte("#!/bin/sh\nexit 0\n")}), nil
		})
	}, fmt.Sprintf("state script %s added to %s at offset %d", script, img.header.name, img.header.at))
}

// flipHeader changes one bit of the artifact's name.
func (img *Image) flipHeader(m *format.Manifest) ([]byte, error) {
	says(m, format.LayerSignature, format.ErrBadSignature, "manifest.sig does not fit the repaired manifest")
	return img.rewrite(m, func(p *parts) error {
		err := p.editHeader(func(files []File) ([]File, error) {
			info := files[0].Data
			start := bytes.Index(info, []byte(`"`+img.info.name+`"`)) + 1
			for i := start; start > 0 && i < start+len(img.info.name); i++ {
				if c := info[i] ^ 1; isAlnum(c) && isAlnum(info[i]) {
					info[i] = c
					m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d of header-info, in %s at offset %d", i, img.header.name, img.header.at))
					return files, nil
				}
			}
			return nil, format.Wrap(format.ErrNotApplicable, "the artifact's name has no letter to change")
		})
		p.repair(m, p.header.Name, p.header.Data)
		return err
	})
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// otherProduct is genuine, for another device type.
func (img *Image) otherProduct(m *format.Manifest, means format.Means) ([]byte, error) {
	own := img.info.depends["device_type"]
	if len(own) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "it names no device type")
	}
	m.Device = &format.Device{Is: map[string]string{"device_type": own[0]}}
	says(m, format.LayerIdentity, format.ErrWrongDevice, "device_type %q is not among the compatible ones", own[0])
	if means.Sister != nil {
		sister, err := OpenUnverified(format.Input{Source: *means.Sister})
		if err != nil {
			return nil, format.Wrap(format.ErrNotApplicable, "the other product's artifact: %v", err)
		}
		if slices.Contains(sister.info.depends["device_type"], own[0]) {
			return nil, format.Wrap(format.ErrNotApplicable, "the other product's artifact names %q too", own[0])
		}
		m.Changed = append(m.Changed, "everything: it is the maker's own artifact for another product")
		return means.Sister.Bytes(0, means.Sister.Size())
	}
	key, err := maker(means)
	if err != nil {
		return nil, err
	}
	return img.rewrite(m, func(p *parts) error {
		err := p.editHeader(func(files []File) ([]File, error) {
			info, err := object(files[0].Data)
			if err != nil {
				return nil, err
			}
			other := []any{own[0] + "-other"}
			if img.version == 2 {
				info["device_types_compatible"] = other
			} else {
				info["artifact_depends"].(map[string]any)["device_type"] = other // parsed before
			}
			files[0].Data, err = json.Marshal(info)
			return files, err
		})
		if err != nil {
			return err
		}
		return p.resign(m, p.header.Name, p.header.Data, key)
	}, fmt.Sprintf("device type in header-info, in %s at offset %d", img.header.name, img.header.at))
}

// oversize is genuine, with a payload file larger than the room for it.
func (img *Image) oversize(m *format.Manifest, means format.Means) ([]byte, error) {
	key, err := maker(means)
	if err != nil {
		return nil, err
	}
	return img.rewrite(m, func(p *parts) error {
		var name string
		var data []byte
		err := p.editPayload(func(n int, files []File, i int) ([]File, error) {
			size := len(files[i].Data)
			name = fmt.Sprintf("data/%04d/%s", n, files[i].Name)
			files[i].Data = append(files[i].Data, make([]byte, size+1<<20)...)
			data = files[i].Data
			m.Device = &format.Device{Size: int64(size)}
			m.Changed = append(m.Changed, fmt.Sprintf("%d zeros behind the %d bytes of %s", size+1<<20, size, name))
			says(m, format.LayerResources, format.ErrTooLarge, "%s does not fit the room of %d bytes", name, size)
			return files, nil
		})
		if err != nil {
			return err
		}
		return p.resign(m, name, data, key)
	})
}

// mix puts the header of an older release under the manifest of this one.
func (img *Image) mix(m *format.Manifest, means format.Means) ([]byte, error) {
	if means.Older == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs an older artifact of the maker")
	}
	older, err := OpenUnverified(format.Input{Source: *means.Older})
	if err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the older artifact: %v", err)
	}
	if older.version != img.version || len(older.data) != len(img.data) {
		return nil, format.Wrap(format.ErrNotApplicable, "the older artifact has another form")
	}
	data, err := older.in.Bytes(older.header.at, older.header.size)
	if err != nil {
		return nil, err
	}
	m.Classic = "MEN-1412 (header checksums not verified: state scripts could be replaced)"
	says(m, format.LayerPayload, format.ErrBadHash, "the header does not have the hash of its line in the manifest")
	return img.rewrite(m, func(p *parts) error {
		return p.editHeader(func([]File) ([]File, error) {
			_, files, err := unpack(File{older.header.name, data}, maxHeader)
			return files, err
		})
	}, fmt.Sprintf("header at offset %d is that of the artifact %q", img.header.at, older.Name()))
}

// bombSize is what the bomb becomes: more than budget gives to so small an archive.
const bombSize = 4 << 30

// bomb replaces the first payload by an archive whose one file is all zeros.
func (img *Image) bomb(m *format.Manifest) ([]byte, error) {
	file := "payload"
	for _, l := range img.lines {
		if rest, ok := strings.CutPrefix(l.name, "data/0000/"); ok {
			file = rest
		}
	}
	if len(img.data) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "it has no payload")
	}
	var head, zeros bytes.Buffer
	t := tar.NewWriter(&head)
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Size: bombSize, Mode: 0o600}); err != nil {
		return nil, err
	}
	// gzip files in a row are one file (RFC 1952 section 2.2), so one piece is compressed once.
	const piece = 4 << 20
	for _, part := range []struct {
		into *bytes.Buffer
		b    []byte
	}{{&zeros, make([]byte, piece)}, {nil, bytes.Clone(head.Bytes())}} {
		into := part.into
		if into == nil {
			head.Reset()
			into = &head
		}
		w := gzip.NewWriter(into)
		if _, err := w.Write(part.b); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
	}
	says(m, format.LayerResources, format.ErrMalformed, "a payload decompresses without end; the client stops before its disk or memory is full")
	return img.rewrite(m, func(p *parts) error {
		p.data[0] = File{"data/0000.tar.gz", append(head.Bytes(), bytes.Repeat(zeros.Bytes(), bombSize/piece)...)}
		return nil
	}, fmt.Sprintf("payload at offset %d replaced by one that decompresses to %d bytes of zeros", img.data[0].at, int64(bombSize)))
}

// extra adds a payload file that no line of the manifest names; with escape its name leaves the folder.
func (img *Image) extra(m *format.Manifest, escape bool) ([]byte, error) {
	if len(img.data) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "it has no payload")
	}
	added := File{"assay-extra.bin", []byte("nobody signed this\n")}
	says(m, format.LayerPayload, format.ErrNotBound, "a payload file has no line in the manifest")
	if escape {
		added.Name = "../../../../etc/assay-escape"
		m.Classic = "CVE-2023-7216 (the class: an archive member that leaves its folder)"
		says(m, format.LayerStructure, format.ErrMalformed, "the name of a payload file leaves its folder")
	}
	return img.rewrite(m, func(p *parts) error {
		kind, files, err := unpack(p.data[0], budget(int64(len(p.data[0].Data))))
		if err != nil {
			return err
		}
		p.data[0].Data, err = pack(kind, append([]File{added}, files...))
		return err
	}, fmt.Sprintf("file %s added as the first of the payload at offset %d", added.Name, img.data[0].at))
}

// spoilArchive makes the variants that need no knowledge of the contents.
func (img *Image) spoilArchive(variant string, m *format.Manifest) ([]byte, error) {
	if len(img.data) == 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "it has no payload")
	}
	b, err := img.in.Bytes(0, img.in.Size())
	if err != nil {
		return nil, err
	}
	data := img.data[len(img.data)-1]
	says(m, format.LayerStructure, format.ErrMalformed, "the archive is not whole")
	switch variant {
	case format.TrailerFlip:
		at := data.end() + blockSize + blockSize/2
		b[at] ^= 1
		m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d, in the end mark of the archive", at))
	case format.TruncatedHeader:
		b = b[:img.manifest.header+blockSize/2]
		m.Changed = append(m.Changed, fmt.Sprintf("cut at offset %d, in the tar header of the manifest", len(b)))
	case format.TruncatedPayload:
		b = b[:data.at+data.size/2]
		m.Changed = append(m.Changed, fmt.Sprintf("cut at offset %d, in %s", len(b), data.name))
	case format.Empty:
		b = []byte{}
		m.Changed = append(m.Changed, "everything removed")
		m.Reason = format.ErrUnknownFormat
	case format.TrailingData:
		m.Changed = append(m.Changed, fmt.Sprintf("a block of 0x55 behind the archive, at offset %d", len(b)))
		b = append(b, bytes.Repeat([]byte{0x55}, blockSize)...)
		says(m, format.LayerStructure, format.ErrTrailing, "bytes follow the end mark of the archive")
	case format.LengthLie:
		copy(b[data.header+124:], fmt.Sprintf("%011o\x00", data.size+1<<20))
		repairTar(b[data.header : data.header+blockSize])
		m.Changed = append(m.Changed, fmt.Sprintf("size of %s in its tar header at offset %d, now %d", data.name, data.header+124, data.size+1<<20))
		m.Repaired = append(m.Repaired, "checksum of that tar header")
		says(m, format.LayerStructure, format.ErrMalformed, "%s announces more bytes than there are", data.name)
	}
	return b, nil
}

// repairTar writes the checksum of a tar header: the sum of its bytes with spaces in its place.
func repairTar(h []byte) {
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:156], fmt.Sprintf("%06o\x00 ", sum))
}
