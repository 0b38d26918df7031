package dossier

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A field is one key of a struct, with the rules that its tags hold: enum (values with | between
// them), range (low-high), form (see forms), rows (the tables whose rows it names; documents are
// a table of their own here) and eg (an example).
type field struct {
	index     int
	name      string // in the file
	required  bool
	enum      []string
	ranged    bool
	low, high int
	form      string
	rows      []string
	example   string
	of        reflect.Type
}

// fieldsOf lists the keys that a struct has in a file, in its own order.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := field{index: i, name: name, required: options == "", form: sf.Tag.Get("form"), example: sf.Tag.Get("eg"), of: sf.Type,
			enum: split(sf.Tag.Get("enum")), rows: split(sf.Tag.Get("rows"))}
		if low, high, ok := strings.Cut(sf.Tag.Get("range"), "-"); ok {
			f.ranged, f.low, f.high = true, number(low), number(high)
		}
		out = append(out, f)
	}
	return out
}

func split(tag string) []string {
	if tag == "" {
		return nil
	}
	return strings.Split(tag, "|")
}

// number reads a tag, which a test holds to be right.
func number(tag string) int {
	n, err := strconv.Atoi(tag)
	if err != nil {
		panic("dossier: range tag: " + err.Error())
	}
	return n
}

// A form is what a text must look like.
type form struct {
	pattern *regexp.Regexp
	says    string
	example string
}

var (
	datePattern  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
	linkPattern  = regexp.MustCompile(`^https?://[^ ]+$`)
	purlPattern  = regexp.MustCompile(`^pkg:[a-z0-9.+-]+/[^ ]+$`)
	suitePattern = regexp.MustCompile(`^TLS_[A-Z0-9]+(_[A-Z0-9]+)+$`)
)

// forms knows every form that a tag may name.
func forms(name string) (form, bool) {
	switch name {
	case "date":
		return form{datePattern, "a date: write it like 2026-11-30", "2030-12-31"}, true
	case "host":
		return form{hostPattern, "an address or a host name", "cloud.example"}, true
	case "link":
		return form{linkPattern, "a link: begin with https://", "https://example.com/"}, true
	case "name":
		return form{namePattern, "a name: use lower case letters, digits and -", "name"}, true
	case "purl":
		return form{purlPattern, "a package URL: write it like pkg:generic/mbedtls@3.6.2", "pkg:generic/mbedtls@3.6.2"}, true
	case "suite":
		return form{suitePattern, "a cipher suite: use its IANA name, e.g. TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"}, true
	}
	return form{}, false
}

// fits tells whether a text has a form.
func (f form) fits(text string) bool {
	if !f.pattern.MatchString(text) {
		return false
	}
	if f.pattern == datePattern {
		_, err := time.Parse(time.DateOnly, text)
		return err == nil
	}
	return true
}

// oneOf words a choice.
func oneOf(values []string) string {
	if len(values) < 2 {
		return strings.Join(values, "")
	}
	last := len(values) - 1
	return fmt.Sprintf("%s or %s", strings.Join(values[:last], ", "), values[last])
}
