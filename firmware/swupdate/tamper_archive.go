package swupdate

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"assay/firmware/format"
)

// genuine makes what the maker did sign or could have: for another time, another device,
// or with a gap in it.
func (img *Image) genuine(variant string, m *format.Manifest, means format.Means) ([]byte, error) {
	switch {
	case variant == format.Older && means.Older != nil:
		return img.olderRelease(m, *means.Older)
	case variant == format.OtherProduct:
		return img.sister(m, means)
	}
	id, err := img.maker(means)
	if err != nil {
		return nil, err
	}
	return img.rewrite(m, func(w *work) error {
		var err error
		switch variant {
		case format.Older:
			err = img.lower(m, w)
		case format.OtherHardware:
			err = img.otherHardware(m, w)
		case format.Oversize:
			err = img.oversize(m, w)
		case format.UnsignedExtra:
			err = img.dropHash(m, w)
		}
		if err != nil {
			return err
		}
		m.Repaired = append(m.Repaired, signatureName+", with the maker's key")
		w.files[1].Data, err = id.sign(w.files[0].Data, "")
		return err
	})
}

func (img *Image) olderRelease(m *format.Manifest, src format.Source) ([]byte, error) {
	older, err := OpenUnverified(format.Input{Source: src})
	if err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the older archive: %v", err)
	}
	if compareVersions(older.Version(), img.Version()) >= 0 {
		return nil, format.Wrap(format.ErrNotApplicable, "version %q is not older than %q", older.Version(), img.Version())
	}
	img.saysOlder(m, older.Version())
	m.Changed = append(m.Changed, "everything: it is the maker's own older archive")
	return src.Bytes(0, src.Size())
}

func (img *Image) saysOlder(m *format.Manifest, version string) {
	m.Device = &format.Device{Version: img.Version()}
	says(m, format.LayerFreshness, format.ErrRollback, "version %s is below %s, which runs (SWUpdate compares with -N only)", version, img.Version())
}

func (img *Image) lower(m *format.Manifest, w *work) error {
	const lowest = "0.0.1"
	if compareVersions(lowest, img.Version()) >= 0 {
		return format.Wrap(format.ErrNotApplicable, "no version is known below %q", img.Version())
	}
	img.saysOlder(m, lowest)
	m.Changed = append(m.Changed, "version in "+descriptionName)
	return w.replace(`"`+img.Version()+`"`, `"`+lowest+`"`)
}

// revision is one that the archive is made for, as it stands there.
func (img *Image) revision() (string, error) {
	for _, h := range img.description.everywhere("hardware-compatibility") {
		if !strings.HasPrefix(h, "#RE:") {
			return h, nil
		}
	}
	return "", format.Wrap(format.ErrNotApplicable, "it names no hardware revision")
}

var hardwareList = regexp.MustCompile(`(hardware-compatibility"?\s*[:=]\s*)\[(?:[^\]"]|"(?:[^"\\]|\\.)*")*\]`)

func (img *Image) otherHardware(m *format.Manifest, w *work) error {
	revision, err := img.revision()
	if err != nil {
		return err
	}
	text := hardwareList.ReplaceAll(w.files[0].Data, []byte(`${1}[ "assay-other" ]`))
	if bytes.Equal(text, w.files[0].Data) {
		return format.Wrap(format.ErrNotApplicable, "%s does not write hardware-compatibility as expected", descriptionName)
	}
	w.files[0].Data = text
	m.Changed = append(m.Changed, "hardware-compatibility in "+descriptionName)
	img.saysOther(m, revision)
	return nil
}

func (img *Image) saysOther(m *format.Manifest, revision string) {
	m.Device = &format.Device{Is: map[string]string{"hwrevision": "board:" + revision}}
	says(m, format.LayerIdentity, format.ErrWrongDevice, "hardware revision %s is not among the compatible ones", revision)
}

func (img *Image) sister(m *format.Manifest, means format.Means) ([]byte, error) {
	if means.Sister == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs an archive for another product of the maker")
	}
	revision, err := img.revision()
	if err != nil {
		return nil, err
	}
	sister, err := OpenUnverified(format.Input{Source: *means.Sister})
	if err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the other product's archive: %v", err)
	}
	if sister.checkHardware(selection{board: "board"}, revision) == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the other product's archive is for revision %q too", revision)
	}
	m.Changed = append(m.Changed, "everything: it is the maker's own archive for another product")
	img.saysOther(m, revision)
	return means.Sister.Bytes(0, means.Sister.Size())
}

func (img *Image) oversize(m *format.Manifest, w *work) error {
	i, err := w.largest(img)
	if err != nil {
		return err
	}
	f := &w.files[i]
	size := len(f.Data)
	f.Data = append(f.Data, make([]byte, size+1<<20)...)
	m.Device = &format.Device{Size: int64(size)}
	m.Changed = append(m.Changed, fmt.Sprintf("%d zeros behind the %d bytes of %s", size+1<<20, size, f.Name))
	says(m, format.LayerResources, format.ErrTooLarge, "%s does not fit the room of %d bytes", f.Name, size)
	return w.rehash(m, img, i)
}

// dropHash leaves an entry without its hash: nothing binds the file any more.
func (img *Image) dropHash(m *format.Manifest, w *work) error {
	i, err := w.largest(img)
	if err != nil {
		return err
	}
	sum := img.description.hashes[w.files[i].Name]
	text := w.files[0].Data
	at := bytes.Index(bytes.ToLower(text), []byte(hex.EncodeToString(sum[:])))
	key := bytes.LastIndex(text[:max(at, 0)], []byte("sha256"))
	if key < 0 {
		return format.Wrap(format.ErrNotApplicable, "the hash of %s is not written out in %s", w.files[i].Name, descriptionName)
	}
	w.files[0].Data = slices.Concat(text[:key], []byte("not-"), text[key:])
	m.Changed = append(m.Changed, "sha256 of "+w.files[i].Name+" renamed in "+descriptionName)
	says(m, format.LayerPayload, format.ErrNotBound, "sw-description names a file without sha256")
	return nil
}

// extraMember puts in what sw-description does not ask for. No key is needed.
func (img *Image) extraMember(variant string, m *format.Manifest, means format.Means) ([]byte, error) {
	if variant == format.MixAndMatch {
		return img.mix(m, means)
	}
	if variant == format.PathEscape {
		const escape = "../../../../tmp/assay-escape"
		m.Classic = "CVE-2023-7216 (the class; SWUpdate before May 2026 took such names)"
		says(m, format.LayerStructure, format.ErrMalformed, "a member's name leaves the folder")
		return img.rewrite(m, func(w *work) error {
			w.files = slices.Insert(w.files, 2, File{escape, []byte("nobody asked for this\n")})
			return nil
		}, "member "+escape+" added")
	}
	says(m, format.LayerStructure, format.ErrMalformed, "%s comes twice", descriptionName)
	return img.rewrite(m, func(w *work) error {
		i, err := w.largest(img)
		if err != nil {
			return err
		}
		evil := &work{files: []File{{descriptionName, bytes.Clone(w.files[0].Data)}, {}, w.files[i]}}
		evil.files[2].Data = bytes.Clone(w.files[i].Data)
		evil.files[2].Data[format.Harmless(evil.files[2].Data)] ^= 1
		if err := evil.rehash(&format.Manifest{}, img, 2); err != nil {
			return err
		}
		w.files[i] = evil.files[2]
		w.files = slices.Insert(w.files, 2, evil.files[0])
		m.Changed = append(m.Changed, fmt.Sprintf("a second %s behind the signed one, for a changed %s", descriptionName, evil.files[2].Name))
		return nil
	})
}

// mix puts a file of an older release under the sw-description of this one.
func (img *Image) mix(m *format.Manifest, means format.Means) ([]byte, error) {
	if means.Older == nil {
		return nil, format.Wrap(format.ErrNotApplicable, "it needs an older archive of the maker")
	}
	older, err := OpenUnverified(format.Input{Source: *means.Older})
	if err != nil {
		return nil, format.Wrap(format.ErrNotApplicable, "the older archive: %v", err)
	}
	says(m, format.LayerPayload, format.ErrBadHash, "a file does not have the sha256 that sw-description gives it")
	return img.rewrite(m, func(w *work) error {
		for i, f := range w.files {
			if _, named := img.description.hashes[f.Name]; !named {
				continue
			}
			theirs, ok := older.member(f.Name)
			if !ok {
				continue
			}
			b, err := older.in.Bytes(theirs.at, theirs.size)
			if err != nil {
				return err
			}
			if !bytes.Equal(b, f.Data) {
				w.files[i].Data = b
				m.Changed = append(m.Changed, fmt.Sprintf("%s is that of version %s", f.Name, older.Version()))
				return nil
			}
		}
		return format.Wrap(format.ErrNotApplicable, "the older archive has no file of the same name with other contents")
	})
}

// spoilArchive makes the variants that need no knowledge of the contents.
func (img *Image) spoilArchive(variant string, m *format.Manifest) ([]byte, error) {
	b, err := img.in.Bytes(0, img.in.Size())
	if err != nil {
		return nil, err
	}
	last := img.members[len(img.members)-1]
	says(m, format.LayerStructure, format.ErrMalformed, "the archive is not whole")
	switch variant {
	case format.TamperedPlain:
		return img.flipPlain(m, b)
	case format.TrailerFlip:
		at := last.end() + headerSize
		b[at] ^= 1
		m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d, in the name of the trailer", at))
		says(m, format.LayerStructure, format.ErrMalformed, "the archive has no trailer")
	case format.TruncatedHeader:
		b = b[:img.sig.header+headerSize/2]
		m.Changed = append(m.Changed, fmt.Sprintf("cut at offset %d, in the cpio header of %s", len(b), signatureName))
	case format.TruncatedPayload:
		b = b[:last.at+last.size/2]
		m.Changed = append(m.Changed, fmt.Sprintf("cut at offset %d, in %s", len(b), last.name))
	case format.Empty:
		b = []byte{}
		m.Changed = append(m.Changed, "everything removed")
		m.Reason = format.ErrUnknownFormat
	case format.TrailingData:
		m.Changed = append(m.Changed, fmt.Sprintf("a block of 0x55 behind the archive, at offset %d", len(b)))
		b = append(b, bytes.Repeat([]byte{0x55}, 512)...)
		says(m, format.LayerStructure, format.ErrTrailing, "bytes follow the trailer")
	case format.LengthLie:
		copy(b[last.header+54:], fmt.Sprintf("%08X", min(last.size+1<<20, 0xffffffff)))
		m.Changed = append(m.Changed, fmt.Sprintf("size of %s in its cpio header at offset %d, now %d", last.name, last.header+54, last.size+1<<20))
		says(m, format.LayerStructure, format.ErrMalformed, "%s announces more bytes than there are", last.name)
	}
	return b, nil
}

// flipPlain changes one bit where it lies, and repairs nothing.
func (img *Image) flipPlain(m *format.Manifest, b []byte) ([]byte, error) {
	w, err := img.work()
	if err != nil {
		return nil, err
	}
	i, err := w.largest(img)
	if err != nil {
		return nil, err
	}
	at := img.members[i].at + int64(format.Harmless(w.files[i].Data))
	b[at] ^= 1
	m.Changed = append(m.Changed, fmt.Sprintf("lowest bit of byte %d, in %s", at, w.files[i].Name))
	says(m, format.LayerPayload, format.ErrBadHash, "a file does not have the sha256 that sw-description gives it")
	if img.members[i].crc {
		says(m, format.LayerHash, format.ErrBadHash, "a file does not have the sum of its cpio header")
	}
	return b, nil
}

// swap is a pair: the genuine archive while it is checked, a tampered one while it is installed.
func (img *Image) swap(v *format.Variant) error {
	first, err := img.in.Bytes(0, img.in.Size())
	if err != nil {
		return err
	}
	second, err := img.flipImage(&v.Manifest, true)
	if err != nil {
		return err
	}
	v.Files = map[string][]byte{format.FileFirst: first, format.FileSecond: second}
	v.Manifest.Changed = append(v.Manifest.Changed, "first is the genuine archive, second the changed one")
	v.Manifest.Classic = "CVE-2020-25860 (the same race in another updater)"
	v.Manifest.Expected = "what is installed is what was checked: the device takes neither the second alone nor in place of the first"
	return nil
}

// chain is the signer's certificate and those above it, as far as they are known.
func (img *Image) chain(means format.Means) []*x509.Certificate {
	if len(means.Chain) > 0 || img.message == nil || len(img.message.Signers) == 0 {
		return means.Chain
	}
	s := img.message.Signers[0]
	list := slices.Clone(img.message.Certificates)
	for i, c := range list {
		if s.Serial != nil && s.Serial.Cmp(c.SerialNumber) == 0 || s.KeyID != nil && bytes.Equal(s.KeyID, c.SubjectKeyId) {
			list[0], list[i] = list[i], list[0]
			break
		}
	}
	return list
}
