package fit

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"assay/firmware/fdt"
	"assay/firmware/format"
)

// Describe tells what the image says about itself and its default configuration; nothing of it is verified.
func (img *Image) Describe() format.Facts {
	c, err := img.chosen("")
	if err != nil {
		c = nil
	}
	return img.describe(c, c != nil && len(c.signatures) > 0)
}

// describe looks at the image from one configuration: with bySignature its signature is
// what counts, else those of its images.
func (img *Image) describe(c *config, bySignature bool) format.Facts {
	m := img.mapOf(c, bySignature)
	f := format.Facts{
		Format: Name,
		Size:   img.src.Size(),
		Fields: img.fields(c, m),
		Notes:  append(img.notes(), img.configNotes(c, bySignature)...),
	}
	f.Covered, f.Uncovered = m.regions()
	if !img.stamp.IsZero() {
		f.Version = img.stamp.Format(time.RFC3339)
	}
	for _, p := range img.parts {
		f.PayloadSize += p.size
		if p.cipher != "" {
			f.Encrypted = shown(p.cipher)
		}
	}
	if c == nil {
		return f
	}
	for _, name := range c.compatible {
		f.Targets = append(f.Targets, "compatible="+shown(name))
	}
	signatures := c.signatures
	if !bySignature {
		signatures = nil
		for _, p := range c.parts {
			signatures = append(signatures, p.signatures...)
		}
	}
	for _, s := range signatures {
		if len(s.value) > 0 {
			f.Signature, f.KeyHint = s.claimed(), shown(s.hint)
			break
		}
	}
	return f
}

// claimed is the algorithm in the words of a report, by the names alone.
func (s signature) claimed() string {
	_, kind := s.algorithms()
	names := map[string]string{
		"rsa1024": "rsa-1024", "rsa2048": "rsa-2048", "rsa3072": "rsa-3072", "rsa4096": "rsa-4096",
		"ecdsa256": "ecdsa-p256", "ecdsa384": "ecdsa-p384", "secp521r1": "ecdsa-p521",
	}
	if names[kind] == "" {
		return shown(s.algo)
	}
	return shown(s.scheme(names[kind]))
}

// shown makes a text of the image fit for a terminal.
func shown(s string) string {
	const longest = 120
	if q := strconv.QuoteToASCII(s); len(s) > longest || q != `"`+s+`"` {
		return fmt.Sprintf("%.*q", longest, s)
	}
	return s
}

func (img *Image) fields(c *config, m fileMap) []format.Field {
	var fields []format.Field
	add := func(n *fdt.Node, where string, but ...string) {
		if n == nil {
			return
		}
		for _, p := range n.Properties {
			if !slices.Contains(but, p.Name) {
				fields = append(fields, format.Field{Name: where + p.Name, Value: img.value(p), Protected: m.covers(p)})
			}
		}
	}
	add(img.tree.Root, "")
	add(img.tree.Find(configsPath), "configurations ")
	for _, o := range img.configs {
		add(o.node, o.name+" ")
		for _, s := range o.signatures {
			add(s.node, o.name+" "+s.node.Name+" ", "value", nodesProp, stringsProp)
		}
	}
	for _, p := range img.parts {
		add(p.node, p.name+" ", dataProp)
		fields = append(fields, format.Field{Name: p.name + " bytes", Value: fmt.Sprint(p.size), Protected: m.data[p]})
		for _, n := range p.node.Children {
			add(n, p.name+" "+n.Name+" ", nodesProp, stringsProp)
		}
	}
	return fields
}

// value shows a property as text where it is one, else as cells or bytes.
func (img *Image) value(p *fdt.Property) string {
	if list, err := img.tree.Strings(p); err == nil && !slices.ContainsFunc(list, func(s string) bool { return s == "" || shown(s) != s }) {
		return strings.Join(list, ", ")
	}
	if cells, err := img.tree.Cells(p); err == nil && len(cells) == 1 {
		if p.Name == "timestamp" {
			return time.Unix(int64(cells[0]), 0).UTC().Format(time.RFC3339)
		}
		return fmt.Sprintf("0x%08x", cells[0])
	}
	const most = 64
	b, err := img.tree.Source().Bytes(p.Value, min(p.Size, most))
	if err != nil {
		return fmt.Sprintf("%d bytes", p.Size)
	}
	if p.Size > most {
		return fmt.Sprintf("%x... (%d bytes)", b, p.Size)
	}
	return hex.EncodeToString(b)
}

// notes are what holds of the whole image.
func (img *Image) notes() []string {
	var notes []string
	say := func(s string, args ...any) { notes = append(notes, fmt.Sprintf(s, args...)) }
	say("a FIT has no version and no rollback counter: U-Boot takes any older image of the same maker; the version shown is the time at which it was made")
	if img.fault != nil {
		say("never verified: %v", img.fault)
	}
	if len(img.configs) == 0 {
		say("no configuration: whoever boots it picks kernel and device tree one by one")
	}
	if len(img.configs) > 1 {
		say("which of the %d configurations is the default is not covered by any signature", len(img.configs))
	}
	for _, p := range img.parts {
		if p.cipher != "" {
			say("%s is encrypted (%s); its hash is one of what is stored", p.name, shown(p.cipher))
		}
		for _, h := range p.hashes {
			switch {
			case h.ignored:
				say("%s of %s is marked to be ignored", h.node.Name, p.name)
			case isWeak(h.algo):
				say("%s of %s is %s, which binds nothing", h.node.Name, p.name, h.algo)
			}
		}
	}
	if n := len(img.tree.Reserved); n > 0 {
		say("%d memory reservations, which nothing covers", n)
	}
	if img.slack() {
		say("bytes between the blocks of the tree are not zero; nothing covers them")
	}
	return notes
}

// slack tells whether there is something behind the string block, where mkimage leaves
// what was there before.
func (img *Image) slack() bool {
	h := img.tree.Header
	end := h.StringsAt + h.StringsSize
	b, err := img.src.Bytes(end, min(h.TotalSize-end, 4096))
	return err == nil && strings.Trim(string(b), "\x00") != ""
}

// configNotes are what holds of the configuration that is looked at.
func (img *Image) configNotes(c *config, bySignature bool) []string {
	var notes []string
	say := func(s string, args ...any) { notes = append(notes, fmt.Sprintf(s, args...)) }
	if c == nil {
		return nil
	}
	if !bySignature {
		say("the configuration is not signed, only its images may be: any signed image of the maker can be put in the place of another, and load addresses can be changed")
	}
	used := map[*part]bool{}
	for _, p := range c.parts {
		used[p] = true
		if p.external {
			say("where the data of %s lies is not covered, only its hash is", p.name)
		}
	}
	var unsigned, others, unused []string
	for _, o := range img.configs {
		if o != c && len(o.signatures) == 0 {
			unsigned = append(unsigned, o.name)
		} else if o != c {
			others = append(others, o.name)
		}
	}
	for _, p := range img.parts {
		if !used[p] {
			unused = append(unused, p.name)
		}
	}
	if len(unsigned) > 0 && bySignature {
		say("configurations without a signature, which a device must refuse to boot: %s", some(unsigned))
	}
	if len(others) > 0 {
		say("configurations that were not looked at: %s", some(others))
	}
	if len(unused) > 0 {
		say("images that configuration %s does not use and does not cover: %s", shown(c.name), some(unused))
	}
	if len(c.compatible) == 0 {
		say("configuration %s names no compatible board: nothing ties it to a device", shown(c.name))
	}
	if bySignature && len(c.signatures) > 1 {
		say("%d signatures of configuration %s: what is covered is shown for the one that covers least", len(c.signatures), shown(c.name))
	}
	for _, s := range c.signatures {
		name, _ := s.algorithms()
		if isWeak(name) {
			say("%s is over a %s digest, for which collisions can be made", s.node.Name, name)
		}
		if left := img.leftOut(c, s); left != "" {
			say("hashed-nodes of %s leaves out %s, which the configuration uses: old U-Boots do not check it", s.node.Name, left)
		}
	}
	return notes
}

// some names the first of many.
func some(names []string) string {
	const most = 8
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// leftOut is a node that has to be covered and that the signature does not list.
func (img *Image) leftOut(c *config, s signature) string {
	claimed := img.claimedNodes(s)
	if claimed == nil {
		return ""
	}
	must := img.mustCover(c)
	for _, tok := range img.tree.Tokens {
		if tok.Kind == fdt.BeginNode && must[tok.Node] && !claimed[tok.Node] {
			return tok.Node.Path()
		}
	}
	return ""
}
