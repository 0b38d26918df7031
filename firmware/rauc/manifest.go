package rauc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"assay/firmware/format"
)

// A Manifest is manifest.raucm: a GLib key file. What RAUC's own reader would take the last
// of, or drop, is refused here: a key or group twice.
type Manifest struct {
	Kind       Kind
	Compatible string
	Version    string
	VerityHash []byte
	VeritySalt []byte
	VeritySize int64
	CryptKey   string // hex
	Images     []ImageEntry
	Unknown    []string // groups and keys that the known versions of RAUC do not have

	groups []group
}

// An ImageEntry is one image of the manifest.
type ImageEntry struct {
	Slot     string // rootfs, appfs/app-1, rootfs.variant
	Filename string
	SHA256   string
	Size     int64 // -1: not told
	Hooks    []string
}

type group struct {
	name string
	keys []pair
}

type pair struct{ key, value string }

const maxManifest = 64 << 10

// ParseManifest reads a manifest strictly.
func ParseManifest(text []byte) (*Manifest, error) {
	groups, err := parseKeyFile(text)
	if err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	m := &Manifest{groups: groups}
	if err := m.read(); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// parseKeyFile reads groups of keys, as GLib does, but nothing twice.
func parseKeyFile(text []byte) ([]group, error) {
	if len(text) > maxManifest {
		return nil, format.Malformed("%d bytes, at most %d", len(text), maxManifest)
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return nil, format.Malformed("not UTF-8 text")
	}
	var all []group
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case trimmed[0] == '[':
			name, rest, ok := strings.Cut(trimmed[1:], "]")
			if !ok || name == "" || strings.ContainsAny(name, "[") || strings.TrimSpace(rest) != "" {
				return nil, format.Malformed("line %d: a group name", i+1)
			}
			if slices.ContainsFunc(all, func(g group) bool { return g.name == name }) {
				return nil, format.Malformed("line %d: group %q twice", i+1, name)
			}
			all = append(all, group{name: name})
		default:
			if err := addPair(all, trimmed); err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
		}
	}
	return all, nil
}

func addPair(all []group, line string) error {
	key, value, ok := strings.Cut(line, "=")
	key = strings.TrimRight(key, " \t")
	if !ok || key == "" || strings.ContainsAny(key, "[]") {
		return format.Malformed("neither group nor key")
	}
	if len(all) == 0 {
		return format.Malformed("key %q before the first group", key)
	}
	g := &all[len(all)-1]
	if slices.ContainsFunc(g.keys, func(p pair) bool { return p.key == key }) {
		return format.Malformed("key %q twice", key)
	}
	text, err := unescape(strings.TrimLeft(value, " \t")) // GLib keeps what follows
	if err != nil {
		return err
	}
	g.keys = append(g.keys, pair{key, text})
	return nil
}

// unescape follows GKeyFile: \s \n \t \r \\, and \; of lists, which stays.
func unescape(s string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", format.Malformed("a backslash at the end of the line")
		}
		at := strings.IndexByte("sntr\\;", s[i])
		if at < 0 {
			return "", format.Malformed(`an unknown escape \%c`, s[i])
		}
		out.WriteString([]string{" ", "\n", "\t", "\r", "\\", "\\;"}[at])
	}
	return out.String(), nil
}

// known are the groups and keys of RAUC 1.15; meta.* and rollout are free.
var known = map[string][]string{
	"update":  {"compatible", "version", "description", "build", "min-rauc-version"},
	"bundle":  {"format", "verity-hash", "verity-salt", "verity-size", "crypt-key", "min-rauc-version"},
	"handler": {"filename", "args", "pre-install", "post-install"},
	"hooks":   {"filename", "hooks"},
	"image":   {"filename", "sha256", "size", "hooks", "type", "version", "description", "build", "adaptive", "convert", "converted"},
	"keyring": {"archive"},
}

func (m *Manifest) read() error {
	for _, g := range m.groups {
		kind, _, _ := strings.Cut(g.name, ".")
		if kind == "meta" || kind == "rollout" {
			continue
		}
		keys, ok := known[kind]
		if !ok || kind != "image" && kind != g.name {
			m.Unknown = append(m.Unknown, "["+g.name+"]")
			continue
		}
		for _, p := range g.keys {
			if !slices.Contains(keys, p.key) {
				m.Unknown = append(m.Unknown, "["+g.name+"] "+p.key)
			}
		}
		if kind == "image" {
			if err := m.readImage(g); err != nil {
				return fmt.Errorf("[%s]: %w", g.name, err)
			}
		}
	}
	m.Compatible, m.Version = m.get("update", "compatible"), m.get("update", "version")
	if m.Compatible == "" {
		return format.Malformed("no compatible in [update]")
	}
	return m.readBundle()
}

func (m *Manifest) get(groupName, key string) string {
	for _, g := range m.groups {
		if g.name == groupName {
			return g.get(key)
		}
	}
	return ""
}

func (g group) get(key string) string {
	for _, p := range g.keys {
		if p.key == key {
			return p.value
		}
	}
	return ""
}

func (m *Manifest) readBundle() error {
	switch kind := m.get("bundle", "format"); kind {
	case "", string(Plain):
		m.Kind = Plain
	case string(Verity), string(Crypt):
		m.Kind = Kind(kind)
	default:
		return format.Malformed("bundle format %q is not known", kind)
	}
	var err error
	for _, f := range []struct {
		key string
		to  *[]byte
	}{{"verity-hash", &m.VerityHash}, {"verity-salt", &m.VeritySalt}} {
		text := m.get("bundle", f.key)
		if text == "" && m.Kind == Plain {
			continue
		}
		if *f.to, err = readHash(text); err != nil {
			return fmt.Errorf("%s: %w", f.key, err)
		}
	}
	if m.CryptKey = m.get("bundle", "crypt-key"); m.CryptKey != "" || m.Kind == Crypt {
		if _, err := readHash(m.CryptKey); err != nil {
			return fmt.Errorf("crypt-key: %w", err)
		}
	}
	if text := m.get("bundle", "verity-size"); text != "" || m.Kind != Plain {
		if m.VeritySize, err = readSize(text); err != nil || m.VeritySize == 0 || m.VeritySize%blockSize != 0 {
			return format.Malformed("verity-size %q, want a multiple of %d", text, blockSize)
		}
	}
	return nil
}

func readHash(text string) ([]byte, error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != hashSize {
		return nil, format.Malformed("%q, want %d bytes in hex", text, hashSize)
	}
	return b, nil
}

func readSize(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err
}

// readImage asks for what a device needs: an image that is there has its digest and size.
func (m *Manifest) readImage(g group) error {
	_, slot, _ := strings.Cut(g.name, ".")
	if slot == "" {
		return format.Malformed("no slot")
	}
	i := ImageEntry{Slot: slot, Filename: g.get("filename"), SHA256: g.get("sha256"), Size: -1}
	if hooks := g.get("hooks"); hooks != "" {
		i.Hooks = strings.FieldsFunc(hooks, func(r rune) bool { return r == ';' })
	}
	if text := g.get("size"); text != "" {
		n, err := readSize(text)
		if err != nil {
			return format.Malformed("size %q", text)
		}
		i.Size = n
	}
	if i.Filename != "" {
		if strings.ContainsAny(i.Filename, "/\x00") || i.Filename == ".." || i.Filename == "." {
			return format.Malformed("filename %q leaves the bundle", i.Filename)
		}
		if _, err := readHash(i.SHA256); err != nil {
			return fmt.Errorf("sha256: %w", err)
		}
		if i.Size < 0 && !slices.Contains(i.Hooks, "install") {
			return format.Malformed("no size for %q", i.Filename)
		}
	}
	m.Images = append(m.Images, i)
	return nil
}
