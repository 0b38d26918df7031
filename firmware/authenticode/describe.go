package authenticode

import (
	"fmt"
	"strings"
	"time"

	"assay/firmware/format"
)

// Describe tells what the image says about itself.
func (img *Image) Describe() format.Facts {
	size := img.in.Size()
	f := format.Facts{
		Format: name, Size: size, PayloadSize: size - img.tableSize,
		Targets: []string{"machine=" + machineName(img.machine)},
		Covered: img.covered(size),
		Fields: []format.Field{
			{Name: "subsystem", Value: subsystemName(img.subsystem), Protected: true},
			{Name: "timestamp", Value: time.Unix(int64(img.timestamp), 0).UTC().Format(time.RFC3339), Protected: true},
			{Name: "checksum", Value: fmt.Sprintf("0x%08x", img.checksum)},
		},
	}
	f.Uncovered = append(f.Uncovered, format.Region{Name: "CheckSum", Offset: img.checksumAt, Size: 4})
	if img.directoryAt > 0 {
		f.Uncovered = append(f.Uncovered, format.Region{Name: "directory entry of the certificate table", Offset: img.directoryAt, Size: 8})
	}
	if len(img.signatures) == 0 {
		f.Covered = nil
		f.Uncovered = []format.Region{{Name: "everything", Size: size}}
		f.Notes = append(f.Notes, "The image is not signed.")
	}
	for i, s := range img.signatures {
		if i == 0 {
			f.Signature, f.KeyHint = s.message.Signature(), s.message.KeyHint()
		}
		f.Uncovered = append(f.Uncovered, format.Region{Name: fmt.Sprintf("head of certificate table entry %d", i+1), Offset: s.at, Size: entryHead})
		for _, r := range s.message.Uncovered {
			r.Offset += s.at + entryHead
			f.Uncovered = append(f.Uncovered, r)
		}
		for _, x := range s.message.Signers {
			if !x.SigningTime.IsZero() {
				f.Fields = append(f.Fields, format.Field{Name: "signing time", Value: x.SigningTime.UTC().Format(time.RFC3339), Protected: true})
			}
			if x.Unsigned > 0 {
				f.Notes = append(f.Notes, "The signature has unsigned attributes (timestamp or nested signature); they are not used.")
			}
		}
		f.Notes = append(f.Notes, s.message.Notes...)
	}
	if len(img.signatures) > 1 {
		f.Notes = append(f.Notes, fmt.Sprintf("%d signatures: one that leads to a trusted root is enough.", len(img.signatures)))
	}
	f.Notes = append(f.Notes, "The format tells no version that firmware looks at: only revocation (dbx, SBAT) keeps an older release out.")
	f.Fields = append(f.Fields, img.sbat()...)
	if img.checksum != 0 {
		if sum, err := peChecksum(img.in.Source, img.checksumAt); err == nil && sum != img.checksum {
			f.Notes = append(f.Notes, fmt.Sprintf("The header's CheckSum is 0x%08x, that of the file 0x%08x: the signature does not cover it, somebody may have changed the file after it was signed.", img.checksum, sum))
		}
	}
	if img.gaps {
		f.Notes = append(f.Notes, "Bytes between the sections belong to none: hashed here, but not by every firmware.")
	}
	return f
}

// maxSBAT is the longest list of component generations that is read.
const maxSBAT = 16 << 10

// sbat reads the components' generations, by which shim revokes (SBAT.md of rhboot/shim).
func (img *Image) sbat() []format.Field {
	var fields []format.Field
	for _, s := range img.sections {
		if s.name != ".sbat" || s.size > maxSBAT {
			continue
		}
		b, err := img.in.Bytes(s.at, s.size)
		if err != nil {
			return nil
		}
		for line := range strings.Lines(strings.TrimRight(string(b), "\x00")) {
			part := strings.SplitN(strings.TrimSpace(line), ",", 3)
			if len(part) >= 2 && len(fields) < 32 {
				fields = append(fields, format.Field{Name: "sbat " + printable(part[0]), Value: printable(part[1]), Protected: len(img.signatures) > 0})
			}
		}
	}
	return fields
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

func machineName(m uint16) string {
	if n, ok := map[uint16]string{
		0x014c: "i386", 0x8664: "x86-64", 0x01c0: "arm", 0x01c2: "thumb", 0x01c4: "armv7", 0xaa64: "aarch64",
		0x5032: "riscv32", 0x5064: "riscv64", 0x6264: "loongarch64", 0x0ebc: "ebc",
	}[m]; ok {
		return n
	}
	return fmt.Sprintf("0x%04x", m)
}

func subsystemName(s uint16) string {
	if n, ok := map[uint16]string{
		2: "windows", 3: "console", 10: "efi-application", 11: "efi-boot-driver", 12: "efi-runtime-driver", 13: "efi-rom",
	}[s]; ok {
		return n
	}
	return fmt.Sprint(s)
}
