// Package swupdate tells whether a SWUpdate archive (.swu) is what its maker signed: a
// strict reader of the cpio container and of sw-description in both its syntaxes, a
// verifier for CMS, raw RSA and OpenPGP signatures that follows every hash of sw-description to
// its file, a writer of signed archives, and the variants that a device must refuse. It runs
// no script, unpacks nothing, decrypts sw-description alone, and never takes trust from the archive.
package swupdate

import (
	"fmt"

	"assay/firmware/cms"
	"assay/firmware/detached"
	"assay/firmware/format"
)

// Name of the format, and of its two fixed members.
const (
	name            = "swupdate"
	descriptionName = "sw-description"
	signatureName   = "sw-description.sig"
)

// Sizes at which reading stops.
const (
	maxDescription = 4 << 20
	maxSignature   = 1 << 20
	maxMembers     = 10_000
)

// Format describes SWUpdate archives to the front door.
func Format() format.Format {
	return format.Format{
		Name:   name,
		Detect: detect,
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := OpenUnverified(in)
			if err != nil {
				return nil, err // a nil *Image in an interface would not be nil
			}
			return img, nil
		},
		Compare:  func(a, b string) (int, error) { return compareVersions(a, b), nil },
		Variants: variants(),
	}
}

// detect asks for a cpio archive whose first member is sw-description.
func detect(in format.Input) bool {
	head := in.Head(headerSize + int64(len(descriptionName)))
	return len(head) == headerSize+len(descriptionName) && isMagic(head) && string(head[headerSize:]) == descriptionName
}

// An Image is one archive, taken apart without reading its images.
type Image struct {
	in          format.Source
	members     []member
	byName      map[string]int
	end         int64 // behind the trailer
	text        []byte
	sealed      string // how sw-description is encrypted; empty: it is not
	description description
	sig         *member // nil: unsigned
	rawSig      []byte
	message     *cms.Message // nil where the signature is no CMS
	notCMS      error        // and why
	pgp         bool         // it is OpenPGP's
}

// OpenUnverified parses the container and sw-description. The other members are not read before Verify.
func OpenUnverified(in format.Input) (*Image, error) {
	img := &Image{in: in.Source}
	if err := img.parse(); err != nil {
		return nil, fmt.Errorf("open swupdate archive: %w", err)
	}
	return img, nil
}

func (img *Image) parse() error {
	var err error
	if img.in.Size() == 0 {
		return fmt.Errorf("empty file: %w: %w", format.ErrUnknownFormat, format.ErrMalformed)
	}
	if img.members, img.end, err = readArchive(img.in); err != nil {
		return err
	}
	if len(img.members) == 0 || img.members[0].name != descriptionName {
		return format.Malformed("the first member is not %s", descriptionName)
	}
	if img.text, err = img.bytes(img.members[0], maxDescription); err != nil {
		return err
	}
	img.byName = map[string]int{}
	for i, m := range img.members {
		img.byName[m.name] = i
		if m.name != signatureName {
			continue
		}
		if i != 1 {
			return format.Malformed("%s is member %d, it must come second", signatureName, i+1)
		}
		img.sig = &img.members[1]
		if img.rawSig, err = img.bytes(m, maxSignature); err != nil {
			return err
		}
		if img.message, img.notCMS = cms.Parse(img.rawSig); img.message == nil {
			_, notPGP := img.openPGP()
			img.pgp = notPGP == nil
		}
	}
	return img.describeText()
}

// describeText reads sw-description, unless it is encrypted.
func (img *Image) describeText() error {
	var err error
	if img.description, err = readDescription(img.text); err != nil {
		if img.sealed = sealed(img.text); img.sealed != "" {
			return nil
		}
		return fmt.Errorf("%s: %w", descriptionName, err)
	}
	return img.bind()
}

// openPGP is the signature as a file of its own beside sw-description: there is no difference.
func (img *Image) openPGP() (format.Image, error) {
	text := format.FromBytes(img.text)
	return detached.OpenPGPFormat().OpenUnverified(format.Input{Source: format.FromBytes(img.rawSig), Artifact: &text})
}

func (img *Image) bytes(m member, limit int64) ([]byte, error) {
	if m.size > limit {
		return nil, format.Malformed("%s has %d bytes, at most %d are read", m.name, m.size, limit)
	}
	return img.in.Bytes(m.at, m.size)
}

// bind wants every file that sw-description names to be there.
func (img *Image) bind() error {
	for _, a := range img.description.artifacts {
		if a.file == "" {
			continue
		}
		if a.file == descriptionName || a.file == signatureName {
			return format.Malformed("%s names %s as a file", descriptionName, a.file)
		}
		if _, ok := img.member(a.file); !ok {
			return format.Malformed("%s names %.100q, which is not in the archive", descriptionName, a.file)
		}
	}
	return nil
}

func (img *Image) member(name string) (member, bool) {
	i, ok := img.byName[name]
	if !ok {
		return member{}, false
	}
	return img.members[i], true
}

// Version is that of sw-description.
func (img *Image) Version() string { return img.description.version(selection{}) }
