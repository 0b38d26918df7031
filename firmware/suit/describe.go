package suit

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// Describe tells what the envelope says about itself; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	m := &img.manifest
	f := format.Facts{
		Format:          Name,
		Version:         strconv.FormatUint(m.sequence, 10),
		SecurityCounter: new(m.sequence),
		KeyHint:         img.keyHint(),
		Size:            img.src.Size(),
		Fields:          img.fields(),
		Notes:           img.notes(),
	}
	if len(img.blocks) > 0 {
		f.Signature = img.blocks[0].claimed()
	}
	for _, mem := range img.members {
		if mem.isName {
			f.PayloadSize += mem.size
		}
	}
	see := func(t string) {
		if !slices.Contains(f.Targets, t) {
			f.Targets = append(f.Targets, t)
		}
	}
	m.overrides(func(p parameters) {
		for _, n := range []int64{paramVendor, paramClass, paramDevice} {
			if raw, ok := p[n]; ok {
				see(map[int64]string{paramVendor: isVendor, paramClass: isClass, paramDevice: isDevice}[n] + "=" + identifier(raw))
			}
		}
		if _, ok := p[paramEncryption]; ok {
			f.Encrypted = "suit-encryption-info"
		}
	})
	f.Covered, f.Uncovered = img.regions()
	return f
}

// identifier is a UUID, or a private enterprise number under its tag, in hexadecimal.
func identifier(raw []byte) string {
	if id, err := asBytes(raw); err == nil {
		return hex.EncodeToString(id)
	}
	return "pen:" + hex.EncodeToString(raw)
}

// regions partition the file. The head of the envelope and the blocks are nobody's; a
// digest covers each member with its length.
func (img *Image) regions() (covered, uncovered []format.Region) {
	add := func(to *[]format.Region, name string, from, end int64) {
		if end > from {
			*to = append(*to, format.Region{Name: name, Offset: from, Size: end - from})
		}
	}
	if img.bare {
		add(&uncovered, "bare manifest", 0, img.src.Size())
		return nil, uncovered
	}
	add(&uncovered, "envelope head", 0, img.headSize)
	signed := len(img.blocks) > 0
	for n, m := range img.members {
		switch {
		case m.isName && signed && len(img.manifest.dependency) > 0 && img.isEnvelope(n):
			add(&uncovered, m.label()+": head", m.at, m.body)
			sub, _ := img.dependency(n)
			in, out := sub.regions()
			covered, uncovered = append(covered, moved(m, in)...), append(uncovered, moved(m, out)...)
		case m.isName, m.key != keyWrapper:
			to := &covered
			if _, ok := img.manifest.severed[m.key]; !signed || !m.isName && m.key != keyManifest && !ok {
				to = &uncovered
			}
			add(to, m.label(), m.at, m.end())
		case signed:
			add(&uncovered, "wrapper head", m.at, img.digestAt)
			add(&covered, "digest of the manifest", img.digestAt, img.digestEnd)
			add(&uncovered, "authentication blocks", img.digestEnd, m.end())
		default:
			add(&uncovered, m.label(), m.at, m.end())
		}
	}
	return covered, uncovered
}

func (img *Image) isEnvelope(n int) bool {
	_, err := img.dependency(n)
	return err == nil
}

// moved are the regions of an envelope as those of the one around it.
func moved(m member, regions []format.Region) []format.Region {
	for i := range regions {
		regions[i].Name = m.name + ": " + regions[i].Name
		regions[i].Offset += m.body
	}
	return regions
}

func (img *Image) keyHint() string {
	for _, blk := range img.blocks {
		for _, s := range blk.signers {
			if id := s.keyID(); id != "" {
				return id
			}
		}
	}
	return ""
}

func (img *Image) fields() []format.Field {
	m := &img.manifest
	signed := len(img.blocks) > 0
	var fields []format.Field
	add := func(name, value string, protected bool) {
		fields = append(fields, format.Field{Name: name, Value: value, Protected: protected && signed})
	}
	add("sequence number", fmt.Sprint(m.sequence), true)
	if m.setVersion != "" {
		add("version", m.setVersion, true)
	}
	if m.id != "" {
		add("manifest component", m.id, true)
	}
	if m.reference != "" {
		add("reference uri", strconv.Quote(m.reference), true)
	}
	add("components", strings.Join(m.components, ","), true)
	for _, i := range slices.Sorted(maps.Keys(m.dependency)) {
		add(fmt.Sprintf("dependency %d", i), m.dependency[i], true)
	}
	m.overrides(func(p parameters) {
		if d, ok, err := p.digest(); ok && err == nil {
			add("image digest", d.String(), true)
		}
		if n, ok, err := p.number(paramSize); ok && err == nil {
			add("image size", fmt.Sprint(n), true)
		}
		if u := p.text(paramURI); u != "" {
			add("uri", strconv.Quote(u), true)
		}
	})
	for _, key := range slices.Sorted(maps.Keys(m.severed)) {
		add("digest of "+memberName(key), m.severed[key].String(), true)
	}
	for i, blk := range img.blocks {
		add(fmt.Sprintf("authentication block %d", i+1), blk.claimed(), false)
	}
	return fields
}

func (img *Image) notes() []string {
	var notes []string
	say := func(s string, args ...any) { notes = append(notes, fmt.Sprintf(s, args...)) }
	m := &img.manifest
	if !img.tagged {
		say("the envelope has no tag 107; some devices want it")
	}
	if len(img.blocks) > 1 {
		say("%d authentication blocks: one that is trusted is enough, the others may be anybody's", len(img.blocks))
	}
	for _, blk := range img.blocks {
		if blk.tag == tagMac0 || blk.tag == tagMac {
			say("authenticated by a MAC: every device that can check it can also make it")
		}
	}
	say("the draft refuses lower sequence numbers only: whether a device installs number %d again is its own policy", m.sequence)
	conditions := map[int64]bool{}
	each(m.shared, func(c command) {
		conditions[c.number] = true
		if c.number < 0 {
			say("custom command %d in the shared sequence, where none may be", c.number)
		}
	})
	if !conditions[condVendor] || !conditions[condClass] {
		say("the shared sequence does not ask for vendor and class: nothing keeps it from another product")
	}
	if m.indexes > 1 && !beginsWithIndex(m) {
		say("several components, and a sequence that does not begin with set-component-index")
	}
	for _, key := range img.missing() {
		say("the %s was severed", memberName(key))
	}
	for _, key := range m.unknown {
		say("unknown manifest element %d", key)
	}
	if n := m.customCommands(); n > 0 {
		say("%d commands that this reader does not know; a device that does not know them must refuse", n)
	}
	return notes
}

func beginsWithIndex(m *manifest) bool {
	for _, seq := range append([][]command{m.shared}, slices.Collect(maps.Values(m.sequences))...) {
		if len(seq) > 0 && seq[0].number != dirIndex {
			return false
		}
	}
	return true
}

// customCommands counts those that no draft read here names.
func (m *manifest) customCommands() int {
	known := []int64{
		condVendor, condClass, condImage, 4, condSlot, condContent, condDependency, condIsDependency, condAbort, condDevice, 25, 26, 27, 28,
		dirProcess, dirIndex, dirTryEach, dirWrite, dirOverride, dirFetch, dirCopy, dirInvoke, dirWait, 30, dirSwap, dirRun, dirUnlink,
		dirOverrideMany, dirCopyParameters,
	}
	n := 0
	count := func(c command) {
		if !slices.Contains(known, c.number) {
			n++
		}
	}
	each(m.shared, count)
	for _, seq := range m.sequences {
		each(seq, count)
	}
	return n
}
