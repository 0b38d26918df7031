// Package carrier opens files that only carry an image: Intel HEX, Motorola S-records,
// TI-TXT, UF2, and gzip as Tasmota's updater takes it. They have checksums and no
// authenticity; what they carry may have, and is then opened by its own format. Bytes that a
// loader could place in two ways are refused. It never verifies a carrier itself.
package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"assay/firmware/format"
)

// Limits. Carriers are for microcontrollers, so what they carry is held in memory.
const (
	maxCarried  = 64 << 20
	maxText     = 256 << 20
	maxSegments = 4096
	maxLine     = 1 << 12
)

// A kind is one carrier.
type kind struct {
	name   string
	what   string // its checks, for people
	detect func(head []byte) bool
	decode func(s format.Source) (memory, error)
}

func kinds() []kind {
	return []kind{
		{"hex", "Intel HEX", detectHex, decodeHex},
		{"srec", "Motorola S-records", detectSRecord, decodeSRecord},
		{"ti-txt", "TI-TXT", detectTI, decodeTI},
		{"uf2", "UF2", detectUF2, decodeUF2},
		{"gzip", "gzip", detectGzip, decodeGzip},
	}
}

// headSize is enough to see the first lines, or block, of each.
const headSize = 1024

// Formats lists the carriers. What they carry is opened with the first of inner that detects it.
func Formats(inner []format.Format) []format.Format {
	var all []format.Format
	for _, k := range kinds() {
		all = append(all, format.Format{
			Name:   k.name,
			Detect: func(in format.Input) bool { return k.detect(in.Head(headSize)) },
			OpenUnverified: func(in format.Input) (format.Image, error) {
				img, err := open(k, in, inner)
				if err != nil {
					return nil, fmt.Errorf("open %s of %d bytes: %w", k.what, in.Size(), err)
				}
				return img, nil
			},
			Variants: slices.Clone(variants),
		})
	}
	return all
}

// A segment is bytes that lie side by side.
type segment struct {
	at   uint64
	data []byte
}

// memory is what a carrier puts where.
type memory struct {
	segments []segment
	size     int64
	filling  int // zeros at the end that may be the carrier's and not the image's
	fields   []format.Field
	notes    []string
}

// put places bytes: behind the last ones they lengthen its segment.
func (m *memory) put(at uint64, data []byte) error {
	if m.size += int64(len(data)); m.size > maxCarried {
		return format.Malformed("more than %d bytes are carried", maxCarried)
	}
	if n := len(m.segments); n > 0 {
		if last := &m.segments[n-1]; last.at+uint64(len(last.data)) == at {
			last.data = append(last.data, data...)
			return nil
		}
	}
	if len(m.segments) == maxSegments {
		return format.Malformed("more than %d segments", maxSegments)
	}
	m.segments = append(m.segments, segment{at, bytes.Clone(data)})
	return nil
}

// order sorts the segments and refuses bytes that are there twice: loaders differ in which they keep.
func (m *memory) order() error {
	slices.SortStableFunc(m.segments, func(a, b segment) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	var joined []segment
	for _, s := range m.segments {
		if n := len(joined); n > 0 {
			last := &joined[n-1]
			end := last.at + uint64(len(last.data))
			if s.at < end {
				return format.Malformed("bytes at 0x%x are there twice", s.at)
			}
			if s.at == end {
				last.data = append(last.data, s.data...)
				continue
			}
		}
		joined = append(joined, s)
	}
	m.segments = joined
	return nil
}

// An Image is what a carrier carries.
type Image struct {
	kind   kind
	in     format.Input
	memory memory
	inner  format.Image // nil where the carried bytes are none of our formats
	gaps   []format.Region
}

func open(k kind, in format.Input, inner []format.Format) (*Image, error) {
	if in.Size() > maxText {
		return nil, format.Malformed("larger than %d bytes", maxText)
	}
	m, err := k.decode(in.Source)
	if err != nil {
		return nil, err
	}
	if err := m.order(); err != nil {
		return nil, err
	}
	if m.size == 0 {
		return nil, format.Malformed("nothing is carried")
	}
	img := &Image{kind: k, in: in, memory: m}
	joined, gaps, ok := m.join()
	if !ok {
		return img, nil
	}
	carried := format.Input{Source: format.FromBytes(joined), Artifact: in.Artifact}
	for _, f := range inner {
		if !f.Detect(carried) {
			continue
		}
		whole, err := f.OpenUnverified(carried)
		for n := 1; n <= img.memory.filling && errors.Is(err, format.ErrTrailing); n++ {
			carried.Source = format.FromBytes(joined[:len(joined)-n])
			if whole, err = f.OpenUnverified(carried); err == nil {
				img.memory.notes = append(img.memory.notes, fmt.Sprintf("The last %d bytes are filling of the last block.", n))
			}
		}
		if len(gaps) == 0 {
			img.inner = whole
			return img, err
		}
		if err == nil && within(whole.Describe().Uncovered, gaps) {
			img.inner, img.gaps = whole, gaps
		}
		return img, nil
	}
	return img, nil
}

// join is what flash holds from the first segment to the last: between them it stays erased.
func (m memory) join() (b []byte, gaps []format.Region, ok bool) {
	first, last := m.segments[0], m.segments[len(m.segments)-1]
	if len(m.segments) == 1 {
		return first.data, nil, true
	}
	if last.at+uint64(len(last.data))-first.at > maxCarried {
		return nil, nil, false
	}
	for _, s := range m.segments {
		if n := s.at - first.at - uint64(len(b)); n > 0 {
			gaps = append(gaps, format.Region{Offset: int64(len(b)), Size: int64(n)})
			b = append(b, bytes.Repeat([]byte{0xff}, int(n))...)
		}
		b = append(b, s.data...)
	}
	return b, gaps, true
}

// within tells whether the carried image itself says that no signature covers the gaps, as of a
// slot that is marked for swapping. Else whatever was in flash before would stand for it.
func within(uncovered, gaps []format.Region) bool {
	return !slices.ContainsFunc(gaps, func(g format.Region) bool {
		return !slices.ContainsFunc(uncovered, func(u format.Region) bool { return u.Offset <= g.Offset && g.Offset+g.Size <= u.Offset+u.Size })
	})
}

// Describe tells what the carried image says; where it is none that we know, what is carried.
func (img *Image) Describe() format.Facts {
	var f format.Facts
	note := img.kind.what + " gives no authenticity: it has checksums or none, which anybody can repair."
	if img.inner != nil {
		f = img.inner.Describe()
		note = fmt.Sprintf("The image is carried in %s, which gives no authenticity; offsets are those within the carried image.", img.kind.what)
	} else {
		f = format.Facts{Format: img.kind.name, Size: img.in.Size(), PayloadSize: img.memory.size}
		f.Uncovered = []format.Region{{Name: "everything", Size: img.in.Size()}}
	}
	f.Notes = append(append(slices.Clone(f.Notes), note), img.memory.notes...)
	f.Fields = append(append(slices.Clone(f.Fields), format.Field{Name: "carrier", Value: img.kind.name}), img.memory.fields...)
	const told = 16
	for i, s := range img.memory.segments {
		if i == told {
			f.Notes = append(f.Notes, fmt.Sprintf("%d segments, the first %d are told.", len(img.memory.segments), told))
			break
		}
		f.Fields = append(f.Fields, format.Field{Name: "segment", Value: fmt.Sprintf("0x%08x, %d bytes", s.at, len(s.data))})
	}
	switch {
	case len(img.gaps) > 0:
		f.Notes = append(f.Notes, "It carries more than one segment: what lies between them is read as erased flash, and no signature covers it.")
	case len(img.memory.segments) > 1:
		f.Notes = append(f.Notes, "It carries more than one segment: no signature covers them all.")
	}
	return f
}

// Verify verifies the one image that is carried; a carrier itself vouches for nothing.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	if img.inner == nil {
		why := "what it carries is no signed image of a known format"
		if len(img.memory.segments) > 1 {
			why = fmt.Sprintf("it carries %d segments, which no one signature covers", len(img.memory.segments))
		}
		return format.Report{Image: img.Describe()}, fmt.Errorf("verify %s: %s: %w", img.kind.what, why, format.ErrUnsigned)
	}
	r, err := img.inner.Verify(trust)
	own := r.Image.Notes
	r.Image = img.Describe()
	for _, n := range own { // what the verification added
		if !slices.Contains(r.Image.Notes, n) {
			r.Image.Notes = append(r.Image.Notes, n)
		}
	}
	return r, err
}

// Check applies the rules of the carried image.
func (img *Image) Check(d format.Device) error {
	if img.inner == nil {
		return format.Wrap(format.ErrDevice, "%s tells nothing of version or device", img.kind.what)
	}
	return img.inner.Check(d)
}

// Tamper is for images with something to defend them: give the carried one.
func (img *Image) Tamper(variant string, _ format.Means) (format.Variant, error) {
	if !slices.Contains(format.Variants(), variant) {
		return format.Variant{}, fmt.Errorf("make variant %q of %s: %w", variant, img.kind.what, format.ErrUnknownVariant)
	}
	return img.tamper(variant)
}

// Carried is what is carried, if it lies in one segment.
func (img *Image) Carried() ([]byte, bool) {
	if len(img.memory.segments) != 1 {
		return nil, false
	}
	return img.memory.segments[0].data, true
}

// eachLine visits the lines of a text; the last may lack its end.
func eachLine(s format.Source, visit func(n int, line []byte) error) error {
	r := newLines(s)
	for n := 1; ; n++ {
		line, err := r.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := visit(n, line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
}
