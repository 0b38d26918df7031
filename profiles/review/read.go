package review

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
	"assay/profiles/strict"
)

// eastmost is how far a reviewer's calendar may be ahead of UTC.
const eastmost = 14 * time.Hour

// maxEvidence bounds a file that a review cites.
const maxEvidence = 64 << 20

// unitAddress is standard/case.unit.
var unitAddress = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*/.+\.[a-z]{1,2}$`)

// Read reads a file of reviews strictly, for the product of a dossier, on a day: a review of
// another product, of the future or without a name is refused. Files are hashed.
func Read(path string, d *dossier.Dossier, today time.Time) (*File, error) {
	b, err := readWhole(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, b, filepath.Dir(path), d, today)
}

// Parse is Read for bytes; dir is where relative file names are meant from.
func Parse(name string, b []byte, dir string, d *dossier.Dossier, today time.Time) (*File, error) {
	doc, err := strict.Parse(name, b)
	if err != nil {
		return nil, err
	}
	f := &File{Dir: dir}
	if err := doc.Decode(f); err != nil {
		return nil, err
	}
	r := &reader{doc: doc, d: d, dir: dir, today: today, answered: map[string]bool{}}
	if f.Assay != Version {
		doc.Complain("assay", "wants %q as the first line's value, found %q", Version, f.Assay)
	}
	if ours := ProductOf(d); f.Product != ours {
		doc.Complain("product", "is %s, but the dossier is about %s: an answer for one says nothing of the other", f.Product, ours)
	}
	if len(f.Reviews) == 0 {
		doc.Complain("reviews", "is empty: `assay review` writes one to fill in")
	}
	for i := range f.Reviews {
		f.Reviews[i].Product = f.Product
		r.review(fmt.Sprintf("reviews[%d]", i), &f.Reviews[i])
	}
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// ProductOf is what reviews of a dossier's product must be about.
func ProductOf(d *dossier.Dossier) Product {
	return Product{d.Product.Manufacturer, d.Product.Model, d.Product.Firmware}
}

// String names the product in one line.
func (p Product) String() string {
	return fmt.Sprintf("%s %s, firmware %s", p.Manufacturer, p.Model, p.Firmware)
}

type reader struct {
	doc      *strict.Doc
	d        *dossier.Dossier
	dir      string
	today    time.Time
	answered map[string]bool
}

func (r *reader) review(key string, v *Review) {
	if len(v.Units) == 0 {
		r.doc.Complain(key, "answers no unit: name at least one in units, e.g. etsi-en-303-645/5.1-1-1.a")
	}
	for i, u := range v.Units {
		at := fmt.Sprintf("%s.units[%d]", key, i)
		switch {
		case !unitAddress.MatchString(u):
			r.doc.Complain(at, "%q is not the address of a unit: write standard/case.unit, e.g. etsi-en-303-645/5.1-1-1.a", u)
		case r.answered[u]:
			r.doc.Complain(at, "%s is answered twice: keep one", u)
		}
		r.answered[u] = true
	}
	if !slices.Contains(Answers, v.Answer) {
		r.doc.Complain(key+".answer", "is %q, wants met, not-met, not-applicable or open", v.Answer)
	}
	for _, p := range [][2]string{{"statement", v.Statement}, {"by.name", v.By.Name}, {"by.role", v.By.Role}} {
		if strings.TrimSpace(p[1]) == "" {
			r.doc.Complain(key+"."+p[0], "is missing or empty")
		}
	}
	r.days(key, v)
	for i, row := range v.Rows {
		if _, _, ok := r.d.Row(row); !ok {
			r.doc.Complain(fmt.Sprintf("%s.rows[%d]", key, i), "the dossier has no row %q: write an address like 1-AuthMech/AuthMech-1", row)
		}
	}
	for i := range v.Evidence {
		r.evidence(fmt.Sprintf("%s.evidence[%d]", key, i), &v.Evidence[i])
	}
	for i, item := range v.Items {
		at := fmt.Sprintf("%s.items[%d]", key, i)
		for _, p := range [][2]string{{"name", item.Name}, {"because", item.Because}} {
			if strings.TrimSpace(p[1]) == "" {
				r.doc.Complain(at+"."+p[0], "is missing or empty")
			}
		}
		if _, err := item.Answered(); err != nil {
			r.doc.Complain(at+".path", "%v", err)
		}
	}
}

func (r *reader) days(key string, v *Review) {
	date, err := time.Parse(time.DateOnly, v.Date)
	switch {
	case err != nil:
		r.doc.Complain(key+".date", "%q is not a date: write the day of the review, e.g. 2026-11-20", v.Date)
	case date.After(r.today.Add(eastmost)):
		r.doc.Complain(key+".date", "%s has not come yet: write the day of the review", v.Date)
	}
	last, lasterr := time.Parse(time.DateOnly, v.Expires)
	switch {
	case lasterr != nil:
		r.doc.Complain(key+".expires", "%q is not a date: write the last day on which the answer holds, e.g. 2027-11-20", v.Expires)
	case err == nil && last.Before(date):
		r.doc.Complain(key+".expires", "%s lies before the review itself", v.Expires)
	}
}

// evidence resolves one cited file and holds its digest against a written one.
func (r *reader) evidence(key string, e *Evidence) {
	switch {
	case (e.Document == "") == (e.File == ""):
		r.doc.Complain(key, "wants a document of the dossier or a file: exactly one of them")
	case e.Document != "":
		i := slices.IndexFunc(r.d.Documents, func(d dossier.Document) bool { return d.ID == e.Document })
		if i < 0 {
			var known []string
			for _, d := range r.d.Documents {
				known = append(known, d.ID)
			}
			r.doc.Complain(key+".document", "the dossier has no document %q%s", e.Document, strict.Suggest(e.Document, known))
			return
		}
		r.digest(key, e, r.d.Documents[i].SHA256)
	default:
		sum, err := digest(e.path(r.dir))
		if err != nil {
			r.doc.Complain(key+".file", "%v", err)
			return
		}
		r.digest(key, e, sum)
	}
}

func (r *reader) digest(key string, e *Evidence, sum string) {
	switch {
	case e.SHA256 == "":
	case sum == "":
		r.doc.Complain(key+".sha256", "cannot be checked, for the dossier names no file for document %s: name one there, or cite the file that was read", e.Document)
	case !strings.EqualFold(e.SHA256, sum):
		r.doc.Complain(key+".sha256", "is not the digest of %s, which is %s: the file has changed since the review", e.Document+e.File, sum)
	}
	e.SHA256 = sum
}

// path is where a cited file is, meant from a folder unless it is absolute.
func (e Evidence) path(dir string) string {
	if filepath.IsAbs(e.File) {
		return e.File
	}
	return filepath.Join(dir, e.File)
}

// Path is where a file that one of the reviews cites is.
func (f *File) Path(e Evidence) string { return e.path(f.Dir) }

func digest(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("%s does not exist", filepath.ToSlash(path))
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", filepath.ToSlash(path))
	case info.Size() > maxEvidence:
		return "", fmt.Errorf("%s has more than %d bytes", filepath.ToSlash(path), maxEvidence)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxEvidence)); err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.ToSlash(path), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Strangers lists the addresses that a file answers and a set does not ask, sorted.
func (f *File) Strangers(set *profiles.Set) []string {
	asked := map[string]bool{}
	for _, w := range set.Wanted() {
		asked[w.Address] = true
	}
	var out []string
	for _, r := range f.Reviews {
		for _, u := range r.Units {
			if !asked[u] {
				out = append(out, u)
			}
		}
	}
	slices.Sort(out)
	return out
}
