// Package capsule tells whether a UEFI firmware update capsule (firmware management
// protocol) is what its maker signed: a strict reader of its three headers, the CMS
// signature over image and monotonic count, a writer. Headers that the signature leaves open
// are named. It never takes a root from the capsule.
package capsule

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"assay/firmware/cms"
	"assay/firmware/format"
)

const name = "uefi-capsule"

// Format describes capsules to the front door.
func Format() format.Format {
	return format.Format{
		Name: name,
		Detect: func(in format.Input) bool {
			head := in.Head(16)
			return len(head) == 16 && guid(head) == guidFMP
		},
		OpenUnverified: func(in format.Input) (format.Image, error) {
			img, err := open(in)
			if err != nil {
				return nil, fmt.Errorf("open UEFI capsule of %d bytes: %w", in.Size(), err)
			}
			return img, nil
		},
		Variants: variants(),
	}
}

// Numbers of UEFI 2.10 sections 8.5.3 (capsule header), 23.3.2 (FMP capsule) and 32.2.4
// (WIN_CERTIFICATE_UEFI_GUID). All integers are little endian.
const (
	guidFMP   = "6dcbd5ed-e82d-4c44-bda1-7194199ad92a" // EFI_FIRMWARE_MANAGEMENT_CAPSULE_ID_GUID
	guidPKCS7 = "4aafd29d-68df-49ee-8aa9-347d375665a7" // EFI_CERT_TYPE_PKCS7_GUID

	capsuleHead = 28 // GUID, header size, flags, image size
	fmpHead     = 8  // version, driver count, item count
	itemHead1   = 32 // version 1; 2 adds the hardware instance, 3 what the item is
	itemHead2   = 40
	itemHead3   = 48
	countSize   = 8  // monotonic count
	certHead    = 24 // length, revision, type, GUID

	revision2    = 0x0200
	typeEFIGUID  = 0x0ef1
	supportsAuth = 1 // of ImageCapsuleSupport
	supportsDeps = 2

	maxCertificate = 1 << 20
)

// An Image is one parsed capsule.
type Image struct {
	in         format.Input
	flags      uint32
	item       int64 // of the item's header
	version    uint32
	imageType  string // which firmware of which device: a GUID
	index      uint8
	instance   uint64
	body       int64 // behind the item's header: authentication, if any, then image, then vendor code
	bodySize   int64
	vendorSize int64

	signed  bool
	count   uint64 // monotonic count
	cert    int64  // of the certificate
	message *cms.Message
	image   int64
	size    int64
}

func open(in format.Input) (*Image, error) {
	img := &Image{in: in}
	if err := img.readCapsule(); err != nil {
		return nil, err
	}
	if err := img.readItem(); err != nil {
		return nil, err
	}
	if err := img.readAuthentication(); err != nil {
		return nil, err
	}
	if img.size <= 0 {
		return nil, format.Malformed("the capsule holds no image")
	}
	return img, nil
}

// readCapsule reads the outer header and the FMP header. Embedded drivers and further items are
// refused: firmware takes them, but one signature covers one image only.
func (img *Image) readCapsule() error {
	b, err := img.in.Bytes(0, capsuleHead)
	if err != nil {
		return err
	}
	if guid(b) != guidFMP {
		return format.Malformed("capsule of kind %s, not of the firmware management protocol", guid(b))
	}
	head, size := int64(binary.LittleEndian.Uint32(b[16:])), int64(binary.LittleEndian.Uint32(b[24:]))
	img.flags = binary.LittleEndian.Uint32(b[20:])
	if head != capsuleHead {
		return format.Malformed("capsule header of %d bytes", head)
	}
	if size > img.in.Size() {
		return format.Malformed("capsule of %d bytes, the file has %d", size, img.in.Size())
	}
	if size < img.in.Size() {
		return format.Wrap(format.ErrTrailing, "%d bytes behind the capsule", img.in.Size()-size)
	}
	b, err = img.in.Bytes(head, fmpHead+8)
	if err != nil {
		return err
	}
	if v := binary.LittleEndian.Uint32(b); v != 1 {
		return format.Malformed("FMP header of version %d", v)
	}
	drivers, items := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
	if drivers != 0 || items != 1 {
		return format.Malformed("%d drivers and %d images: one image alone is read", drivers, items)
	}
	offset := int64(binary.LittleEndian.Uint64(b[8:]))
	if offset != fmpHead+8 {
		return format.Malformed("the image's header is at %d, not behind the FMP header", offset)
	}
	img.item = head + offset
	return nil
}

func (img *Image) readItem() error {
	b, err := img.in.Bytes(img.item, itemHead1)
	if err != nil {
		return err
	}
	img.version = binary.LittleEndian.Uint32(b)
	size, ok := map[uint32]int64{1: itemHead1, 2: itemHead2, 3: itemHead3}[img.version]
	if !ok {
		return format.Malformed("image header of version %d", img.version)
	}
	if b, err = img.in.Bytes(img.item, size); err != nil {
		return err
	}
	img.imageType, img.index = guid(b[4:]), b[20]
	img.bodySize, img.vendorSize = int64(binary.LittleEndian.Uint32(b[24:])), int64(binary.LittleEndian.Uint32(b[28:]))
	if img.version >= 2 {
		img.instance = binary.LittleEndian.Uint64(b[32:])
	}
	img.body = img.item + size
	if img.body+img.bodySize+img.vendorSize != img.in.Size() {
		return format.Malformed("image of %d and vendor code of %d bytes do not end the capsule of %d", img.bodySize, img.vendorSize, img.in.Size())
	}
	img.image, img.size = img.body, img.bodySize
	img.signed = img.looksSigned()
	if img.version >= 3 {
		support := binary.LittleEndian.Uint64(b[40:])
		if support&^(supportsAuth|supportsDeps) != 0 || support&supportsDeps != 0 {
			return format.Malformed("image with support flags 0x%x: dependencies are not read", support)
		}
		if says := support&supportsAuth != 0; says != img.signed {
			return format.Malformed("the header says that the image is signed: %t, it is: %t", says, img.signed)
		}
	}
	return nil
}

// looksSigned tells whether an authentication header stands before the image: before version 3
// of the item header nothing else says so.
func (img *Image) looksSigned() bool {
	b, err := img.in.Bytes(img.body+countSize, certHead)
	return err == nil && img.bodySize >= countSize+certHead && binary.LittleEndian.Uint16(b[4:]) == revision2 &&
		binary.LittleEndian.Uint16(b[6:]) == typeEFIGUID && guid(b[8:]) == guidPKCS7
}

func (img *Image) readAuthentication() error {
	if !img.signed {
		return nil
	}
	b, err := img.in.Bytes(img.body, countSize+4)
	if err != nil {
		return err
	}
	img.count = binary.LittleEndian.Uint64(b)
	img.cert = img.body + countSize
	size := int64(binary.LittleEndian.Uint32(b[countSize:]))
	if size < certHead || size > maxCertificate || countSize+size > img.bodySize {
		return format.Malformed("certificate of %d bytes, the image and it have %d", size, img.bodySize)
	}
	der, err := img.in.Bytes(img.cert+certHead, size-certHead)
	if err != nil {
		return err
	}
	if img.message, err = cms.Parse(der); err != nil {
		return err
	}
	img.image, img.size = img.cert+size, img.bodySize-countSize-size
	return nil
}

// content is what the signature is over: the image, then the monotonic count.
func (img *Image) content() io.Reader {
	return io.MultiReader(img.in.Section(img.image, img.size), strings.NewReader(string(binary.LittleEndian.AppendUint64(nil, img.count))))
}

// Describe tells what the capsule says about itself.
func (img *Image) Describe() format.Facts {
	f := format.Facts{
		Format: name, Size: img.in.Size(), PayloadSize: img.size,
		Targets: []string{"image-type=" + img.imageType, fmt.Sprintf("hardware-instance=0x%x", img.instance)},
		Fields: []format.Field{
			{Name: "flags", Value: fmt.Sprintf("0x%08x", img.flags)},
			{Name: "image index", Value: fmt.Sprint(img.index)},
			{Name: "item header version", Value: fmt.Sprint(img.version)},
		},
		Notes: []string{"The signature covers neither image type nor hardware instance: anybody may address the image to another device."},
	}
	if !img.signed {
		f.Uncovered = []format.Region{{Name: "everything", Size: img.in.Size()}}
		f.Notes = append(f.Notes, "The capsule is not signed.")
		return f
	}
	f.SecurityCounter, f.Signature, f.KeyHint = &img.count, img.message.Signature(), img.message.KeyHint()
	f.Covered = []format.Region{{Name: "monotonic count", Offset: img.body, Size: countSize}, {Name: "image", Offset: img.image, Size: img.size}}
	f.Uncovered = []format.Region{
		{Name: "capsule and image headers", Size: img.body},
		{Name: "head of the certificate", Offset: img.cert, Size: certHead},
	}
	for _, r := range img.message.Uncovered {
		r.Offset += img.cert + certHead
		f.Uncovered = append(f.Uncovered, r)
	}
	if img.vendorSize > 0 {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "vendor code", Offset: img.image + img.size, Size: img.vendorSize})
		f.Notes = append(f.Notes, "The signature does not cover the vendor code behind the image.")
	}
	f.Notes = append(f.Notes, img.message.Notes...)
	return f
}

// Verify returns nil only if one whose certificate leads to a root of trust signed image and
// monotonic count. Code signing is asked for, unless trust asks for something else.
func (img *Image) Verify(trust format.Trust) (format.Report, error) {
	r := format.Report{Image: img.Describe()}
	if !img.signed {
		return r, format.Wrap(format.ErrUnsigned, "verify UEFI capsule: no authentication header")
	}
	result, err := img.message.VerifyDetached(img.content(), trust, cms.Policy{Purposes: []string{format.PurposeCodeSigning}})
	r.Key, r.Chain, r.Findings, r.Digest = result.Key, result.Links, result.Findings, result.Digest
	r.Image.Notes = append(r.Image.Notes, result.Notes...)
	if err != nil {
		return r, fmt.Errorf("verify UEFI capsule: %w", err)
	}
	r.Signature, r.Verified = result.Signature, true
	return r, nil
}

// Check applies a device's rules. The monotonic count is all that keeps older capsules out.
func (img *Image) Check(d format.Device) error {
	if d.Version != "" {
		return format.Wrap(format.ErrDevice, "a capsule tells no version, only a monotonic count")
	}
	if d.Size > 0 && img.size > d.Size {
		return format.Wrap(format.ErrTooLarge, "%d bytes, the slot has %d", img.size, d.Size)
	}
	if d.Counter != nil && img.count < *d.Counter {
		return format.Wrap(format.ErrRollback, "monotonic count %d, the device has seen %d", img.count, *d.Counter)
	}
	for key, own := range d.Is {
		if !slices.ContainsFunc(img.Describe().Targets, func(t string) bool { return strings.HasPrefix(t, key+"=") }) {
			return format.Wrap(format.ErrDevice, "a capsule does not say for which %s", key)
		}
		if !slices.Contains(img.Describe().Targets, key+"="+strings.ToLower(own)) {
			return format.Wrap(format.ErrWrongDevice, "made for %v, the device's %s is %s", img.Describe().Targets, key, own)
		}
	}
	return nil
}

// guid writes one as UEFI prints it: the first three parts are little endian.
func guid(b []byte) string {
	if len(b) < 16 {
		return ""
	}
	c := slices.Clone(b[:16])
	slices.Reverse(c[0:4])
	slices.Reverse(c[4:6])
	slices.Reverse(c[6:8])
	s := hex.EncodeToString(c)
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
