package swupdate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/firmware/format"
)

// Describe tells what the archive says about itself; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	d := &img.description
	f := format.Facts{
		Format:    name,
		Version:   img.Version(),
		Signature: img.claimedSignature(),
		Size:      img.in.Size(),
		Fields:    img.fields(),
		Notes:     img.notes(),
	}
	if img.message != nil {
		f.KeyHint = img.message.KeyHint()
	} else if img.pgp {
		if signature, err := img.openPGP(); err == nil {
			f.KeyHint = signature.Describe().KeyHint
		}
	}
	f.Encrypted = img.sealed
	for _, h := range d.everywhere("hardware-compatibility") {
		f.Targets = append(f.Targets, "hardware-compatibility="+h)
	}
	for _, m := range img.members {
		if _, named := d.hashes[m.name]; named {
			f.PayloadSize += m.size
		}
	}
	for _, a := range d.artifacts {
		if f.Encrypted == "" {
			f.Encrypted = a.encrypted
		}
	}
	f.Covered, f.Uncovered = img.regions()
	return f
}

// claimedSignature is what the message says; a raw one says nothing but its length.
func (img *Image) claimedSignature() string {
	switch {
	case img.sig == nil:
		return ""
	case img.message != nil:
		return img.message.Signature()
	case img.pgp:
		if signature, err := img.openPGP(); err == nil {
			return "openpgp-" + signature.Describe().Signature
		}
	case len(img.rawSig) >= 128 && len(img.rawSig)%8 == 0:
		return fmt.Sprintf("rsa-%d", 8*len(img.rawSig))
	}
	return fmt.Sprintf("unknown, %d bytes", len(img.rawSig))
}

// regions covers the whole file: what the signature binds, and everything around it.
func (img *Image) regions() (covered, uncovered []format.Region) {
	for i, m := range img.members {
		uncovered = append(uncovered, format.Region{Name: "cpio header of " + m.name, Offset: m.header, Size: m.at - m.header})
		_, named := img.description.hashes[m.name]
		r := format.Region{Name: m.name, Offset: m.at, Size: m.size}
		if (named || i == 0) && img.sig != nil {
			covered = append(covered, r)
		} else {
			uncovered = append(uncovered, r)
		}
		if pad := m.end() - m.at - m.size; pad > 0 {
			uncovered = append(uncovered, format.Region{Name: "padding of " + m.name, Offset: m.at + m.size, Size: pad})
		}
	}
	end := int64(0)
	if n := len(img.members); n > 0 {
		end = img.members[n-1].end()
	}
	return covered, append(uncovered, format.Region{Name: "trailer", Offset: end, Size: img.in.Size() - end})
}

func (img *Image) fields() []format.Field {
	bound := img.sig != nil
	var fields []format.Field
	var add func(path string, v any)
	add = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				add(path+"."+key, v[key])
			}
		case []any:
			for i, x := range v {
				add(fmt.Sprintf("%s[%d]", path, i), x)
			}
		default:
			text := fmt.Sprint(v)
			if strings.HasSuffix(path, ".aes-key") {
				text = "(a key)"
			}
			fields = append(fields, format.Field{Name: path, Value: text, Protected: bound})
		}
	}
	add("software", img.description.software)
	for _, m := range img.members {
		_, named := img.description.hashes[m.name]
		fields = append(fields, format.Field{Name: "member " + m.name, Value: fmt.Sprintf("%d bytes", m.size), Protected: bound && named})
	}
	return fields
}

func (img *Image) notes() []string {
	d := &img.description
	var notes []string
	say := func(text string, args ...any) { notes = append(notes, fmt.Sprintf(text, args...)) }
	if img.sig == nil {
		say("the archive is not signed; SWUpdate as it is built by default installs it")
	}
	for i, m := range img.members {
		if _, named := d.hashes[m.name]; d.software != nil && !named && i > 0 && m.name != signatureName {
			say("member %.100q is covered by nothing: sw-description has no hash for it", m.name)
		}
	}
	if img.sealed != "" {
		say("sw-description is encrypted (%s), and its signature is of the text in clear: without the key nothing can be told of it", img.sealed)
	}
	say("the version is compared on devices that run SWUpdate with -N only")
	if img.message != nil {
		say("builds of SWUpdate with CMS_IGNORE_EXPIRED_CERTIFICATE do not look at the validity of certificates")
		notes = append(notes, img.message.Notes...)
	} else if img.pgp {
		say("an OpenPGP signature: a device is built for it (GPG) and trusts every key of its ring")
	} else if img.sig != nil {
		say("a raw signature names no scheme; a device is built for either PKCS #1 v1.5 or PSS")
	}
	if len(d.hooks) > 0 {
		say("Lua of sw-description runs on the device: %s", strings.Join(d.hooks[:min(len(d.hooks), 8)], ", "))
	}
	if d.scripts > 0 {
		say("%d scripts run as root on the device", d.scripts)
	}
	if len(d.variables) > 0 {
		say("it sets variables of the boot loader: %.300s", strings.Join(d.variables, ", "))
	}
	for _, a := range d.artifacts {
		if a.encrypted != "" {
			say("%.100q is encrypted (%.20s); its hash covers the ciphertext", a.file, a.encrypted)
		}
		if a.key {
			say("the key that decrypts %.100q stands beside it in clear", a.file)
		}
	}
	if d.software != nil && len(d.everywhere("hardware-compatibility")) == 0 {
		say("it names no hardware; builds without HW_COMPATIBILITY take it on any")
	}
	if versions := d.everywhere("version"); len(versions) > 1 {
		say("it has several versions: %.200s", strings.Join(versions, ", "))
	}
	return notes
}
