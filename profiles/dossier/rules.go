package dossier

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"assay/profiles/strict"
)

// documentTable is the list of documents where a tag names what a field refers to.
const documentTable = "documents"

// idPattern keeps a row's id usable as the second half of its address.
var idPattern = regexp.MustCompile(`^[^/\s]+$`)

// rows checks the tables: every row has an id of its own, which is its address, and what its
// tags ask for, references to other rows among it.
func (c *checker) rows() {
	seen, ids := map[string]bool{}, map[string][]string{}
	for _, doc := range c.d.Documents {
		ids[documentTable] = append(ids[documentTable], doc.ID)
	}
	rows := c.d.IXIT.all()
	for _, r := range rows {
		if r.id == "" {
			continue // the rule of required fields tells
		}
		if !idPattern.MatchString(r.id) {
			c.doc.Complain(r.key+".id", "%q has a space or a slash: it is the second half of an address like %s", r.id, r.table+"/"+bare(r.table)+"-1")
		}
		if seen[r.address()] {
			c.doc.Complain(r.key+".id", "there is another row %s", r.address())
		}
		seen[r.address()] = true
		ids[r.table] = append(ids[r.table], r.id)
	}
	for _, r := range rows {
		c.rules(r.value, r.key, ids)
	}
	for i, p := range c.d.IXIT.PersData {
		for k, name := range p.StoredAs {
			if _, ok := c.d.Operations["store-"+name]; !ok && name != Placeholder {
				c.doc.Complain(fmt.Sprintf("ixit.21-PersData[%d].stored_as[%d]", i, k), "there is no operation store-%s", name)
			}
		}
	}
}

// bare is a table's name without its number.
func bare(table string) string {
	_, name, _ := strings.Cut(table, "-")
	return name
}

// rules holds every field of a struct against its tags.
func (c *checker) rules(v reflect.Value, key string, ids map[string][]string) {
	for _, f := range fieldsOf(v.Type()) {
		at, one := key+"."+f.name, v.Field(f.index)
		switch {
		case one.Kind() == reflect.Pointer && !one.IsNil() && one.Elem().Kind() == reflect.Struct:
			c.element(f, one.Elem(), at, ids)
		case one.Kind() == reflect.Slice:
			for i := range one.Len() {
				c.element(f, one.Index(i), fmt.Sprintf("%s[%d]", at, i), ids)
			}
		case one.Kind() == reflect.String && one.String() == "":
			if f.required || c.doc.Has(at) {
				c.filled(at, "")
			}
		default:
			c.element(f, one, at, ids)
		}
	}
}

// element checks one value of a field.
func (c *checker) element(f field, v reflect.Value, at string, ids map[string][]string) {
	switch v.Kind() {
	case reflect.Struct:
		if !c.doc.Has(at+".is") && v.Type() == reflect.TypeFor[Answer]() {
			c.doc.Complain(at, "does not say whether it is so: write is: true or is: false")
		}
		c.rules(v, at, ids)
	case reflect.Int:
		if n := int(v.Int()); f.ranged && (n < f.low || n > f.high) {
			c.doc.Complain(at, "is %d, wants %d to %d", n, f.low, f.high)
		}
	case reflect.String:
		c.text(f, v.String(), at, ids)
	}
}

func (c *checker) text(f field, text, at string, ids map[string][]string) {
	if text == Placeholder {
		return
	}
	c.filled(at, text)
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		c.doc.Complain(at, "is %q, wants %s", text, oneOf(f.enum))
	}
	if form, ok := forms(f.form); ok && !form.fits(text) {
		c.doc.Complain(at, "%q is not %s", text, form.says)
	}
	if len(f.rows) > 0 {
		c.reference(f.rows, text, at, ids)
	}
}

// reference checks that an id, or an address, names a row of one of the tables.
func (c *checker) reference(tables []string, name, at string, ids map[string][]string) {
	var in, known []string
	for _, table := range tables {
		for _, id := range ids[table] {
			known = append(known, id)
			if name == id || name == table+"/"+id {
				in = append(in, table)
			}
		}
	}
	switch in = slices.Compact(in); {
	case len(in) == 0 && len(tables) == 1:
		c.doc.Complain(at, "%s has no row %q%s", tables[0], name, strict.Suggest(name, known))
	case len(in) == 0:
		c.doc.Complain(at, "neither %s has a row %q%s", strings.Join(tables, " nor "), name, strict.Suggest(name, known))
	case len(in) > 1:
		c.doc.Complain(at, "%s have a row %q: write %s/%s or the other", strings.Join(in, " and "), name, in[0], name)
	}
}
