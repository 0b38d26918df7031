package swupdate

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"assay/firmware/format"
)

// description is sw-description, read from either syntax.
type description struct {
	json      bool
	software  map[string]any
	artifacts []artifact
	hashes    map[string][32]byte // of the files that have one
	scripts   int                 // entries that run
	hooks     []string            // Lua that runs while sw-description is read
	variables []string            // of the boot loader
}

// An artifact is one entry of sw-description that names a file.
type artifact struct {
	path      string // software.images[0]
	file      string
	hash      bool
	kind      string // type: raw, ubivol, rawfile, lua, shellscript ...
	encrypted string // cipher; empty: in clear
	key       bool   // the decryption key stands beside it
}

// readDescription tries the syntaxes as SWUpdate does; no text is both.
func readDescription(text []byte) (description, error) {
	d := description{hashes: map[string][32]byte{}}
	var root map[string]any
	if d.json = strings.HasPrefix(strings.TrimLeft(string(text[:min(len(text), 4096)]), " \t\r\n"), "{"); d.json {
		v, err := format.ParseJSON(text)
		if err != nil {
			return d, err
		}
		root, _ = v.(map[string]any)
	} else {
		var err error
		if root, err = parseLibconfig(text); err != nil {
			return d, err
		}
	}
	software, ok := root["software"].(map[string]any)
	if !ok {
		return d, format.Malformed("no group software")
	}
	d.software = software
	if err := d.walk(software, "software", ""); err != nil {
		return d, err
	}
	if d.version(selection{}) == "" {
		return d, format.Malformed("no version")
	}
	return d, nil
}

// walk looks for entries everywhere: a selection or a ref may lead a device to any of them.
func (d *description) walk(v any, path, list string) error {
	switch v := v.(type) {
	case []any:
		for i, x := range v {
			if err := d.walk(x, fmt.Sprintf("%s[%d]", path, i), list); err != nil {
				return err
			}
		}
	case map[string]any:
		if err := d.entry(v, path, list); err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if key == "properties" { // a handler's own words
				continue
			}
			if err := d.walk(v[key], path+"."+key, key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *description) entry(v map[string]any, path, list string) error {
	for _, key := range []string{"embedded-script", "hook", "preinstall", "postinstall"} {
		if _, has := v[key]; has {
			d.hooks = append(d.hooks, path+"."+key)
		}
	}
	if n, ok := v["name"].(string); ok && (list == "bootenv" || list == "uboot") {
		d.variables = append(d.variables, n)
	}
	if list == "scripts" {
		d.scripts++
	}
	raw, has := v["filename"]
	if !has {
		return nil
	}
	a := artifact{path: path}
	var ok bool
	if a.file, ok = raw.(string); !ok || !validName(a.file) {
		return format.Malformed("%s: filename %.100v", path, raw)
	}
	a.kind, _ = v["type"].(string)
	switch e := v["encrypted"].(type) {
	case string:
		a.encrypted = e
	case bool:
		if e {
			a.encrypted = "aes-cbc"
		}
	}
	_, a.key = v["aes-key"]
	sum, err := readHash(v["sha256"])
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if a.hash = sum != [32]byte{}; a.hash {
		if other, twice := d.hashes[a.file]; twice && other != sum {
			return format.Malformed("%s: another hash for %.100q than elsewhere", path, a.file)
		}
		d.hashes[a.file] = sum
	}
	d.artifacts = append(d.artifacts, a)
	return nil
}

// readHash reads sha256; nothing, and all zeros, count as none.
func readHash(v any) (sum [32]byte, err error) {
	if v == nil {
		return sum, nil
	}
	text, ok := v.(string)
	if b, err := hex.DecodeString(text); ok && err == nil && len(b) == 32 {
		return [32]byte(b), nil
	}
	return sum, format.Malformed("sha256 %.80v", v)
}

// A selection is what a device chooses by: its board, and -e set,mode.
type selection struct{ board, set, mode string }

// find looks a field up as SWUpdate does: the most specific place first.
func (d *description) find(s selection, field string) any {
	for _, path := range [][]string{{s.board, s.set, s.mode}, {s.set, s.mode}, {s.board}, {}} {
		if slices.Contains(path, "") {
			continue
		}
		node, ok := d.software, true
		for _, name := range path {
			if node, ok = node[name].(map[string]any); !ok {
				break
			}
		}
		if v, has := node[field]; ok && has {
			return v
		}
	}
	return nil
}

// version is the one of the selection. Without one it is the only one that there is.
func (d *description) version(s selection) string {
	if v, ok := d.find(s, "version").(string); ok {
		return v
	}
	if s != (selection{}) {
		return ""
	}
	found := d.everywhere("version")
	if len(found) == 1 {
		return found[0]
	}
	return strings.Join(found, " or ")
}

// everywhere collects the texts of a field of all groups that a selection can lead to.
func (d *description) everywhere(field string) []string {
	var found []string
	add := func(s string) {
		if !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	var look func(node map[string]any, depth int)
	look = func(node map[string]any, depth int) {
		switch v := node[field].(type) {
		case string:
			add(v)
		case []any:
			for _, x := range v {
				if s, ok := x.(string); ok {
					add(s)
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if sub, ok := node[key].(map[string]any); ok && depth < 3 {
				look(sub, depth+1)
			}
		}
	}
	look(d.software, 0)
	return found
}
