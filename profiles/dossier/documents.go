package dossier

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
)

// maxDocument bounds a file that is hashed.
const maxDocument = 64 << 20

// A Document is a paper that reviews and tables name.
type Document struct {
	ID     string `yaml:"id" json:"id"`
	Title  string `yaml:"title" json:"title"`
	File   string `yaml:"file,omitempty" json:"file,omitempty"`
	SHA256 string `yaml:"sha256,omitempty" json:"sha256,omitempty"` // of the file, in hex; filled in when the dossier is read
	URL    string `yaml:"url,omitempty" json:"url,omitempty" form:"link"`
	Date   string `yaml:"date,omitempty" json:"date,omitempty" form:"date"`
}

// documents checks the list and hashes the files.
func (c *checker) documents() {
	seen := map[string]bool{}
	for i := range c.d.Documents {
		doc, key := &c.d.Documents[i], fmt.Sprintf("documents[%d]", i)
		c.rules(reflect.ValueOf(*doc), key, nil)
		if doc.ID != "" && !idPattern.MatchString(doc.ID) {
			c.doc.Complain(key+".id", "%q has a space or a slash: choose one word", doc.ID)
		}
		if doc.ID != "" && seen[doc.ID] {
			c.doc.Complain(key+".id", "there is another document %q", doc.ID)
		}
		seen[doc.ID] = true
		switch {
		case doc.File != "":
			c.hash(key, doc)
		case doc.SHA256 != "":
			c.doc.Complain(key+".sha256", "is the digest of no file: name the file, or remove it")
		case doc.URL == "":
			c.note(key, "has neither a file nor a url, so nobody can read it")
		}
	}
}

// hash fills in a document's digest, or holds the written one against it.
func (c *checker) hash(key string, doc *Document) {
	sum, err := digest(c.d.Path(doc.File))
	switch {
	case err != nil:
		c.doc.Complain(key+".file", "%v", err)
	case doc.SHA256 != "" && doc.SHA256 != sum:
		c.doc.Complain(key+".sha256", "is not the digest of %s, which is %s", doc.File, sum)
	default:
		doc.SHA256 = sum
	}
}

func digest(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fileError(path, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", filepath.ToSlash(path))
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fileError(path, err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxDocument+1))
	switch {
	case err != nil:
		return "", fileError(path, err)
	case n > maxDocument:
		return "", fmt.Errorf("file %s has more than %d bytes", filepath.ToSlash(path), maxDocument)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
