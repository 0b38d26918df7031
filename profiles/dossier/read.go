package dossier

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"assay/profiles"
	"assay/profiles/strict"
)

// Version is the first line's value in every dossier of this format.
const Version = "dossier/v1"

// Read reads a dossier strictly from a file.
func Read(path string) (*Dossier, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read dossier: %w", fileError(path, err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read dossier: %w", fileError(path, err))
	}
	return Parse(path, b, filepath.Dir(path))
}

// Parse reads a dossier strictly from bytes. name is for messages; dir is where its
// relative file names are meant from.
func Parse(name string, b []byte, dir string) (*Dossier, error) {
	doc, d, err := decode(name, b)
	if err != nil {
		return nil, err
	}
	if d.Withheld {
		doc.Complain("withheld", "this copy lacks its secrets, so no device can be tested with it: take the maker's own file")
		return nil, doc.Err()
	}
	d.Dir = dir
	features, err := profiles.Features()
	if err != nil {
		return nil, fmt.Errorf("read the features: %w", err)
	}
	c := &checker{doc: doc, d: d, dir: dir}
	c.run(features)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

// ParseRecorded reads what Redacted wrote, perhaps years ago: its files are gone and its
// secrets withheld, so only what the judge needs is checked.
func ParseRecorded(name string, b []byte) (*Dossier, error) {
	doc, d, err := decode(name, b)
	if err != nil {
		return nil, err
	}
	c := &checker{doc: doc, d: d}
	c.identity()
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return d, nil
}

func decode(name string, b []byte) (*strict.Doc, *Dossier, error) {
	doc, err := strict.Parse(name, b)
	if err != nil {
		return nil, nil, err
	}
	d := &Dossier{Source: name}
	if err := doc.Decode(d); err != nil {
		return nil, nil, err
	}
	return doc, d, nil
}
