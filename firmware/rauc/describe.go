package rauc

import (
	"fmt"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// Describe tells what the bundle says about itself; nothing of it is verified.
func (b *Bundle) Describe() format.Facts {
	f := format.Facts{Format: name, Size: b.source.Size(), PayloadSize: b.dataSize(), Notes: b.notes()}
	if b.message != nil {
		f.Signature, f.KeyHint = b.message.Signature(), b.message.KeyHint()
	}
	if b.Kind() == Crypt {
		f.Encrypted = "aes-256-cbc-plain64"
	}
	if m := b.manifest; m != nil {
		f.Version, f.Targets = m.Version, []string{"compatible=" + m.Compatible}
		f.Fields = m.fields(b.message != nil)
	}
	b.regions(&f)
	return f
}

// fields are the manifest's keys. All of a manifest is covered, directly or with the payload.
func (m *Manifest) fields(signed bool) []format.Field {
	var all []format.Field
	for _, g := range m.groups {
		for _, p := range g.keys {
			value := p.value
			if p.key == "crypt-key" {
				value = "(not shown)"
			}
			all = append(all, format.Field{Name: g.name + "." + p.key, Value: value, Protected: signed})
		}
	}
	return all
}

// regions go through the file. What is in no region is DER structure: any change of it is refused.
func (b *Bundle) regions(f *format.Facts) {
	payload := []format.Region{{Name: "payload", Offset: 0, Size: b.dataSize()}}
	if tree := b.payload - b.dataSize(); tree > 0 {
		payload = append(payload, format.Region{Name: "hash tree", Offset: b.dataSize(), Size: tree})
	}
	if b.message == nil || len(b.message.Signers) == 0 {
		f.Uncovered = payload
	} else {
		f.Covered = payload
	}
	switch {
	case b.unwrapped || b.enveloped:
		f.Uncovered = append(f.Uncovered, format.Region{Name: "encrypted signature", Offset: b.payload, Size: int64(len(b.signature))})
	case b.message != nil:
		at := func(all []format.Region) (out []format.Region) {
			for _, r := range all {
				r.Offset += b.payload
				if r.Name == "content" {
					r.Name = "manifest"
				}
				out = append(out, r)
			}
			return out
		}
		f.Covered = append(f.Covered, at(b.message.Covered)...)
		f.Uncovered = append(f.Uncovered, at(b.message.Uncovered)...)
	}
	f.Uncovered = append(f.Uncovered, format.Region{Name: "signature size", Offset: b.source.Size() - tailSize, Size: tailSize})
}

func (b *Bundle) notes() []string {
	var all []string
	note := func(text string, args ...any) { all = append(all, fmt.Sprintf(text, args...)) }
	if b.message != nil {
		all = append(all, b.message.Notes...)
		if n := len(b.message.Signers); n > 1 {
			note("%d signers: RAUC takes bundles with exactly one.", n)
		}
		for _, s := range b.message.Signers {
			if s.Digest == "sha1" || s.Digest == "md5" {
				note("The signature rests on %s.", s.Digest)
			}
			if !s.Attributes {
				note("The signature has no signed attributes.")
			}
		}
	}
	switch {
	case b.message == nil && !b.enveloped:
		note("The bundle is not signed.")
	case b.enveloped:
		note("The signature is encrypted for recipients: who signed, and what, can be told with the key of one of them only.")
	case b.Kind() == Plain:
		note("Plain format: the device must read the whole payload and keep it from changing before it uses it (CVE-2020-25860); verity has the kernel check each block as it is read.")
		if b.payload >= 1<<31 {
			note("A plain payload of 2 GiB and more: RAUC before 1.15.2 checks its first bytes only (CVE-2026-34155).")
		}
	case b.Kind() == Crypt && !b.unwrapped:
		note("The signature is not encrypted, so that everybody can read the key of the payload in the manifest.")
	}
	if b.problem != nil {
		note("The manifest inside the payload cannot be read: %v.", b.problem)
	}
	return append(all, b.manifest.notes()...)
}

func (m *Manifest) notes() []string {
	if m == nil {
		return nil
	}
	var all []string
	if m.Version == "" {
		all = append(all, "The manifest has no version: a device can tell no downgrade.")
	}
	if len(m.Unknown) > 0 {
		all = append(all, "The manifest has what RAUC 1.15 does not know and refuses: "+strings.Join(m.Unknown, ", ")+".")
	}
	if h := m.get("handler", "filename"); h != "" {
		all = append(all, "A program of the bundle runs instead of RAUC's own installer: "+strconv.Quote(h)+".")
	}
	if h := m.get("hooks", "filename"); h != "" {
		all = append(all, "A program of the bundle runs at hooks: "+strconv.Quote(h)+".")
	}
	return all
}
