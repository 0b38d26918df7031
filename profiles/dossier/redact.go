package dossier

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// shortest is the length from which a secret is also looked for inside other texts. A
// shorter one would tear holes everywhere; it is withheld where it stands alone.
const shortest = 4

// Redacted returns the dossier as used, secrets withheld, in JSON, which is YAML too.
// A secret that somebody also wrote into a recipe or a description is withheld there as well.
// What identifies the product and its units, and what addresses rows, is left alone.
func (d *Dossier) Redacted() []byte {
	c := *d
	c.Withheld = true
	hide := hider(d.secrets())
	c.Features = copyOf(d.Features)
	for name, f := range c.Features {
		f.Because = hide(f.Because)
		c.Features[name] = f
	}
	c.IXIT = copyOf(d.IXIT)
	replace(reflect.ValueOf(&c.IXIT).Elem(), hide)
	c.ICS = copyOf(d.ICS)
	replace(reflect.ValueOf(&c.ICS).Elem(), hide)
	c.Documents = copyOf(d.Documents)
	replace(reflect.ValueOf(&c.Documents).Elem(), hide)
	c.Operations = copyOf(d.Operations)
	replace(reflect.ValueOf(&c.Operations).Elem(), hide)
	for _, text := range []*string{
		&c.Product.Description, &c.Product.Hardware, &c.Product.OperatingSystem, &c.Product.IntendedFunction,
		&c.Product.Address, &c.Product.Contact, &c.Product.ContactPerson,
	} {
		*text = hide(*text)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(&c); err != nil {
		// Every field is text, number, list or map of those; JSON has a form for all of them.
		panic("dossier: redact: " + err.Error())
	}
	return out.Bytes()
}

// Betrays tells whether a text holds one of the dossier's secrets, as far as they are there.
func (d *Dossier) Betrays(text string) bool {
	return !d.Withheld && hider(d.secrets())(text) != text
}

// secrets lists every secret value, the longest first, so that one which contains another is withheld whole.
func (d *Dossier) secrets() []string {
	var all []string
	add := func(s Secret) {
		if s.value == "" {
			return
		}
		all = append(all, s.value)
		if digits, ok := strings.CutPrefix(s.value, "hex:"); ok && digits != "" {
			all = append(all, digits)
		}
	}
	for _, u := range d.Units {
		for _, l := range u.Logins {
			add(l.Password)
		}
	}
	if d.Cloud != nil {
		add(d.Cloud.Key)
		if d.Cloud.Issuer != nil {
			add(d.Cloud.Issuer.Key)
		}
	}
	for _, o := range d.Operations {
		for _, s := range slices.Concat(o.Steps, o.Anonymous) {
			for _, key := range s.secrets() {
				add(*key)
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(all)
}

// secrets are the private keys of a step.
func (s *Step) secrets() []*Secret {
	var keys []*Secret
	var t *TLS
	switch {
	case s.HTTP != nil:
		t = s.HTTP.TLS
	case s.MQTT != nil:
		t = s.MQTT.TLS
	case s.CoAP != nil:
		t = s.CoAP.TLS
	case s.SSH != nil && s.SSH.Key != nil:
		keys = append(keys, s.SSH.Key)
	}
	if t != nil && t.Key != nil {
		keys = append(keys, t.Key)
	}
	return keys
}

func hider(secrets []string) func(string) string {
	return func(s string) string {
		for _, secret := range secrets {
			if s == secret {
				return withheld
			}
			if len(secret) >= shortest {
				s = strings.ReplaceAll(s, secret, withheld)
			}
		}
		return s
	}
}

// copyOf copies a value deeply, so that hiding leaves the dossier itself alone.
func copyOf[T any](v T) T {
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	clone(out, reflect.ValueOf(&v).Elem())
	return out.Interface().(T)
}

func clone(to, from reflect.Value) {
	switch from.Kind() {
	case reflect.Pointer:
		if !from.IsNil() {
			to.Set(reflect.New(from.Type().Elem()))
			clone(to.Elem(), from.Elem())
		}
	case reflect.Interface:
		if !from.IsNil() {
			one := reflect.New(from.Elem().Type()).Elem()
			clone(one, from.Elem())
			to.Set(one)
		}
	case reflect.Struct:
		if from.Type() == reflect.TypeFor[Secret]() {
			to.Set(from)
			return
		}
		for i := range from.NumField() {
			clone(to.Field(i), from.Field(i))
		}
	case reflect.Map:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeMap(from.Type()))
		for _, k := range from.MapKeys() {
			one := reflect.New(from.Type().Elem()).Elem()
			clone(one, from.MapIndex(k))
			to.SetMapIndex(k, one)
		}
	case reflect.Slice:
		if from.IsNil() {
			return
		}
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			clone(to.Index(i), from.Index(i))
		}
	default:
		to.Set(from)
	}
}

// keep are the fields that machines match rows and steps by; a secret that is equal to one of
// them, like a password "http", gives nothing away there. So are those that hold one word of a
// choice, the id of another row, a host, a date: see kept.
var keep = []string{"id", "row", "interface", "via", "by", "method", "application", "names", "name", "version", "curve", "sha256"}

// kept tells whether a field of a declaration stays as it is.
func kept(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	form := f.Tag.Get("form")
	return slices.Contains(keep, name) || f.Tag.Get("enum") != "" || f.Tag.Get("rows") != "" || form != "" && form != "link"
}

// replace hides secrets in every text below a value, except in the fields that are kept.
func replace(v reflect.Value, hide func(string) string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			replace(v.Elem(), hide)
		}
	case reflect.Interface:
		if !v.IsNil() {
			one := reflect.New(v.Elem().Type()).Elem()
			one.Set(v.Elem())
			replace(one, hide)
			v.Set(one)
		}
	case reflect.String:
		v.SetString(hide(v.String()))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Secret]() {
			return // it writes nothing but the word
		}
		for i := range v.NumField() {
			if !kept(v.Type().Field(i)) {
				replace(v.Field(i), hide)
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			one := reflect.New(v.Type().Elem()).Elem()
			one.Set(v.MapIndex(k))
			replace(one, hide)
			v.SetMapIndex(k, one)
		}
	case reflect.Slice:
		for i := range v.Len() {
			replace(v.Index(i), hide)
		}
	}
}
