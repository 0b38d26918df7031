package mender

import (
	"archive/tar"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"assay/firmware/format"
)

// info is what the header tells.
type info struct {
	name, group string
	payloads    []payload
	depends     map[string][]string // device_type, artifact_name, artifact_group
	scripts     []string
}

// A payload is what the header tells of one payload archive.
type payload struct {
	kind     string // rootfs-image, or an update module; empty: an artifact without payload
	typed    string // what type-info says, which older mender-artifact left empty
	depends  map[string][]string
	provides map[string][]string
	clears   []string
}

// scriptName is that of a state script; whatever else lies beside them, a client ignores.
var scriptName = regexp.MustCompile(`^(Download|Artifact(Install|Reboot|Rollback|RollbackReboot|Commit|Failure))_(Enter|Leave|Error)_[0-9]{2}(_\S+)?$`)

// parseHeader reads the header archive: header-info first, then scripts, then one folder per payload.
func (img *Image) parseHeader(kind string) error {
	first, state := true, 0
	return img.eachHeader(kind, func(h *tar.Header, r io.Reader) error {
		if first {
			first = false
			if h.Name != "header-info" {
				return format.Malformed("the first member is %.60q, not header-info", h.Name)
			}
			return img.parseInfo(r)
		}
		if h.Typeflag == tar.TypeDir { // other writers than mender-artifact may leave them
			return nil
		}
		if script, ok := strings.CutPrefix(h.Name, "scripts/"); ok && state == 0 {
			if script == "" || strings.ContainsAny(script, "/\x00") || script == ".." || script == "." {
				return format.Malformed("script name %.60q", h.Name)
			}
			img.info.scripts = append(img.info.scripts, script)
			return nil
		}
		state = 1
		return img.parsePayload(h.Name, r)
	}, func() error {
		if first {
			return format.Malformed("no header-info")
		}
		return nil
	})
}

// eachHeader visits the members of the header archive.
func (img *Image) eachHeader(kind string, visit func(h *tar.Header, r io.Reader) error, end func() error) error {
	r, done, err := decompress(kind, img.in.Section(img.header.at, img.header.size), maxHeader)
	if err != nil {
		return err
	}
	defer done()
	if err := walkArchive(r, true, visit); err != nil {
		return err
	}
	return end()
}

// object reads a JSON object with none but the known keys; without known keys, any.
func object(b []byte, known ...string) (map[string]any, error) {
	v, err := format.ParseJSON(b)
	if err != nil {
		return nil, err
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, format.Malformed("no JSON object")
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		if len(known) > 0 && !slices.Contains(known, key) {
			return nil, format.Malformed("unknown key %.60q", key)
		}
	}
	return o, nil
}

func readSmall(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSmall+1))
	if err == nil && len(b) > maxSmall {
		err = format.Malformed("more than %d bytes", maxSmall)
	}
	return b, err
}

func (img *Image) parseInfo(r io.Reader) error {
	b, err := readSmall(r)
	if err != nil {
		return fmt.Errorf("header-info: %w", err)
	}
	if img.version == 2 {
		err = img.info.read2(b)
	} else {
		err = img.info.read3(b)
	}
	if err == nil && img.info.name == "" {
		err = format.Malformed("no artifact name")
	}
	if err == nil && (len(img.info.payloads) == 0 || len(img.info.payloads) > maxPayloads) {
		err = format.Malformed("%d payloads", len(img.info.payloads))
	}
	if err != nil {
		return fmt.Errorf("header-info: %w", err)
	}
	return nil
}

func (i *info) read2(b []byte) error {
	o, err := object(b, "artifact_name", "updates", "device_types_compatible")
	if err != nil {
		return err
	}
	devices, err := texts(o["device_types_compatible"])
	if err != nil || len(devices) == 0 {
		return format.Malformed("no device_types_compatible")
	}
	i.depends = map[string][]string{"device_type": devices}
	i.name, _ = o["artifact_name"].(string)
	i.payloads, err = payloads(o["updates"])
	return err
}

func (i *info) read3(b []byte) error {
	o, err := object(b, "payloads", "artifact_provides", "artifact_depends")
	if err != nil {
		return err
	}
	provides, err := textMap(o["artifact_provides"])
	if err != nil {
		return fmt.Errorf("artifact_provides: %w", err)
	}
	for key, v := range provides {
		if len(v) != 1 {
			return format.Malformed("artifact_provides: %.60q is a list", key)
		}
	}
	i.name, i.group = strings.Join(provides["artifact_name"], ""), strings.Join(provides["artifact_group"], "")
	if i.depends, err = textMap(o["artifact_depends"]); err != nil {
		return fmt.Errorf("artifact_depends: %w", err)
	}
	i.payloads, err = payloads(o["payloads"])
	return err
}

func payloads(v any) ([]payload, error) {
	list, _ := v.([]any)
	var out []payload
	for _, x := range list {
		o, ok := x.(map[string]any)
		kind, isText := o["type"].(string)
		// null is the type of an artifact that only tells what a device already runs.
		if _, has := o["type"]; !ok || !has || len(o) != 1 || o["type"] != nil && (!isText || kind == "") {
			return nil, format.Malformed("a payload without type")
		}
		out = append(out, payload{kind: kind})
	}
	return out, nil
}

// texts reads a text or a list of texts.
func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var out []string
		for _, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, format.Malformed("%v is no text", x)
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, format.Malformed("%.60v is neither a text nor a list", v)
}

func textMap(v any) (map[string][]string, error) {
	if v == nil {
		return nil, nil
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, format.Malformed("no JSON object")
	}
	out := map[string][]string{}
	for key, x := range o {
		list, err := texts(x)
		if err != nil {
			return nil, fmt.Errorf("%.60q: %w", key, err)
		}
		out[key] = list
	}
	return out, nil
}

// parsePayload reads headers/NNNN/type-info; meta-data belongs to the update module, files to version 2.
func (img *Image) parsePayload(path string, r io.Reader) error {
	parts := strings.Split(path, "/")
	if len(parts) != 3 || parts[0] != "headers" || len(parts[1]) != 4 || !digits(parts[1]) {
		return format.Malformed("%.60q", path)
	}
	n, _ := strconv.Atoi(parts[1])
	if n >= len(img.info.payloads) {
		return format.Malformed("%.60q: there are %d payloads", path, len(img.info.payloads))
	}
	b, err := readSmall(r)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch file := parts[2]; {
	case file == "type-info":
		err = img.info.payloads[n].readType(b)
	case file == "meta-data":
		if len(b) > 0 {
			_, err = object(b)
		}
	case file == "files" && img.version == 2:
		_, err = object(b, "files")
	default:
		err = format.Malformed("unknown file")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (p *payload) readType(b []byte) error {
	o, err := object(b, "type", "artifact_provides", "artifact_depends", "clears_artifact_provides")
	if err != nil {
		return err
	}
	typed, isText := o["type"].(string)
	if o["type"] != nil && !isText || typed != "" && typed != p.kind {
		return format.Malformed("type %v, header-info says %q", o["type"], p.kind)
	}
	p.typed = typed
	if p.depends, err = textMap(o["artifact_depends"]); err != nil {
		return fmt.Errorf("artifact_depends: %w", err)
	}
	if p.provides, err = textMap(o["artifact_provides"]); err != nil {
		return fmt.Errorf("artifact_provides: %w", err)
	}
	p.clears, err = texts(o["clears_artifact_provides"])
	return err
}
