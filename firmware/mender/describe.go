package mender

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/firmware/format"
)

// Describe tells what the artifact says about itself; nothing of it is verified. The
// payloads have not been read: their sizes are those of the compressed archives.
func (img *Image) Describe() format.Facts {
	f := format.Facts{
		Format:    name,
		Version:   img.info.name,
		Signature: img.claimedSignature(),
		Size:      img.in.Size(),
		Fields:    img.fields(),
		Notes:     img.notes(),
	}
	for _, d := range img.info.depends["device_type"] {
		f.Targets = append(f.Targets, "device_type="+d)
	}
	for _, m := range img.data {
		f.PayloadSize += m.size
	}
	f.Covered, f.Uncovered = img.regions()
	return f
}

// claimedSignature goes by the length: the artifact names no algorithm.
func (img *Image) claimedSignature() string {
	switch {
	case img.sig == nil:
		return ""
	case isECDSA(img.rawSig):
		return "ecdsa-p256-sha256"
	case isRSA(img.rawSig):
		return fmt.Sprintf("rsa-%d-pkcs1v15-sha256", 8*len(img.rawSig))
	}
	return fmt.Sprintf("unknown, %d bytes", len(img.rawSig))
}

// regions covers the whole file: what the manifest binds, and everything around it. Of a
// payload archive the contents of its files are bound, not a byte of the archive itself.
func (img *Image) regions() (covered, uncovered []format.Region) {
	bound := map[string]bool{"version": true, "manifest": true, img.header.name: true}
	end := int64(0)
	for _, m := range img.members {
		uncovered = append(uncovered, format.Region{Name: "tar header of " + m.name, Offset: m.header, Size: m.at - m.header})
		r := format.Region{Name: m.name, Offset: m.at, Size: m.size}
		if bound[m.name] && img.sig != nil {
			covered = append(covered, r)
		} else {
			uncovered = append(uncovered, r)
		}
		if pad := m.end() - m.at - m.size; pad > 0 {
			uncovered = append(uncovered, format.Region{Name: "padding of " + m.name, Offset: m.at + m.size, Size: pad})
		}
		end = m.end()
	}
	uncovered = append(uncovered, format.Region{Name: "end of the archive", Offset: end, Size: img.in.Size() - end})
	return covered, uncovered
}

func (img *Image) fields() []format.Field {
	bound := img.sig != nil
	var fields []format.Field
	add := func(name, value string) {
		fields = append(fields, format.Field{Name: name, Value: value, Protected: bound})
	}
	list := func(prefix string, m map[string][]string) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if values := m[key]; len(values) > 0 {
				add(prefix+key, strings.Join(values, ", "))
			}
		}
	}
	add("format version", fmt.Sprint(img.version))
	if img.info.group != "" {
		add("artifact_provides artifact_group", img.info.group)
	}
	list("artifact_depends ", img.info.depends)
	for i, p := range img.info.payloads {
		at := fmt.Sprintf("payload %d ", i)
		add(at+"type", p.kind)
		list(at+"artifact_depends ", p.depends)
		list(at+"artifact_provides ", p.provides)
		if len(p.clears) > 0 {
			add(at+"clears_artifact_provides", strings.Join(p.clears, ", "))
		}
	}
	for _, s := range img.info.scripts {
		add("state script", s)
	}
	for _, l := range img.lines {
		add("manifest "+l.name, fmt.Sprintf("%x", l.sum))
	}
	return fields
}

func (img *Image) notes() []string {
	var notes []string
	say := func(text string, args ...any) { notes = append(notes, fmt.Sprintf(text, args...)) }
	if img.sig == nil {
		say("the artifact is not signed; a client without a verification key installs it")
	}
	say("the format has no rollback counter, no order of versions and no expiry: a genuine older artifact is accepted unless its dependencies forbid it")
	say("tar headers, compression, modes, owners and times of payload files are covered by nothing")
	if img.augment != nil {
		say("manifest-augment and %s were added beside the signature and are covered by nothing", img.augment[1].name)
	}
	if n := len(img.info.scripts); n > 0 {
		say("%d state scripts run as root on the device", n)
	}
	for _, s := range img.info.scripts {
		if !scriptName.MatchString(s) {
			say("%.100q is no name of a state script", s)
		}
	}
	if img.version == 2 {
		say("format version 2 is no longer written; it knows no dependencies but the device type")
	}
	if len(img.info.depends["device_type"]) == 0 {
		say("it names no device type")
	}
	if img.sig != nil && isECDSA(img.rawSig) && !isRaw(img.rawSig) {
		say("the ECDSA signature is DER, as signers behind PKCS#11 make it; mender-artifact before 4 refuses that")
	}
	for i, p := range img.info.payloads {
		if p.typed == "" && p.kind != "" {
			say("type-info of payload %d leaves its type empty, as mender-artifact before 4.3.1 did", i)
		}
	}
	return notes
}
