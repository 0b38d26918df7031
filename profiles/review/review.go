// Package review reads what named persons answer where no program can: units of test cases that
// are decided by reading documents or by trying the device by hand. It checks that an answer is
// whole; it never judges one, and never gives one itself.
package review

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"assay/profiles"
	"assay/profiles/dossier"
)

// Version is the first line's value in every file of reviews of this format.
const Version = "reviews/v1"

// An Answer is what a reviewer says of a unit. Strings in evidence are API.
type Answer string

const (
	Met           Answer = "met"
	NotMet        Answer = "not-met"
	NotApplicable Answer = "not-applicable" // of a unit about one implementation category or a decision tree only
	Open          Answer = "open"           // looked at, and not decided yet
)

// Answers are all of them.
var Answers = []Answer{Met, NotMet, NotApplicable, Open}

// A File is the reviews of one product.
type File struct {
	Assay   string   `yaml:"assay" json:"assay"` // "reviews/v1"
	Product Product  `yaml:"product" json:"product"`
	Reviews []Review `yaml:"reviews" json:"reviews"`

	Dir string `yaml:"-" json:"-"` // the folder that relative file names are meant from
}

// Product is what the reviews are about: an answer for one firmware says nothing of the next.
type Product struct {
	Manufacturer string `yaml:"manufacturer" json:"manufacturer"`
	Model        string `yaml:"model" json:"model"`
	Firmware     string `yaml:"firmware" json:"firmware"`
}

// A Review is one person's answer to one or several units.
type Review struct {
	Units     []string   `yaml:"units" json:"units"` // standard/case.unit, e.g. etsi-en-303-645/5.1-1-1.a
	Answer    Answer     `yaml:"answer" json:"answer"`
	Statement string     `yaml:"statement" json:"statement"` // what was read or done, and what came of it
	By        Person     `yaml:"by" json:"by"`
	Date      string     `yaml:"date" json:"date"`                     // 2026-11-20
	Expires   string     `yaml:"expires" json:"expires"`               // the last day on which it holds
	Rows      []string   `yaml:"rows,omitempty" json:"rows,omitempty"` // of the declaration that were read, e.g. 1-AuthMech/AuthMech-1
	Evidence  []Evidence `yaml:"evidence,omitempty" json:"evidence,omitempty"`
	Items     []Item     `yaml:"items,omitempty" json:"items,omitempty"` // walks through a decision tree

	Product Product `yaml:"-" json:"product"` // of the file
}

// A Person is who answers.
type Person struct {
	Name         string `yaml:"name" json:"name"`
	Role         string `yaml:"role" json:"role"`
	Organisation string `yaml:"organisation,omitempty" json:"organisation,omitempty"`
}

// Evidence is a file that an answer rests on: one of the dossier's documents, or one of the reviewer's own.
type Evidence struct {
	Document string `yaml:"document,omitempty" json:"document,omitempty"` // id in the dossier
	File     string `yaml:"file,omitempty" json:"file,omitempty"`
	Title    string `yaml:"title,omitempty" json:"title,omitempty"`
	SHA256   string `yaml:"sha256,omitempty" json:"sha256,omitempty"` // in hex; filled in when the file is read
}

// An Item is one thing that a decision tree is walked for: an asset, a mechanism, an interface.
type Item struct {
	Name    string   `yaml:"name" json:"name"`
	Path    []string `yaml:"path" json:"path"` // yes or no, in the order of the questions
	Because string   `yaml:"because" json:"because"`
}

// Answered are the item's answers.
func (i Item) Answered() ([]bool, error) {
	out := make([]bool, len(i.Path))
	for n, word := range i.Path {
		if word != "yes" && word != "no" {
			return nil, fmt.Errorf("item %s: answer %d is %q, wants yes or no", i.Name, n+1, word)
		}
		out[n] = word == "yes"
	}
	return out, nil
}

// Days are the day of the review and the last day on which it holds.
func (r Review) Days() (date, last time.Time, err error) {
	date, err = time.Parse(time.DateOnly, r.Date)
	if err != nil {
		return date, last, errors.New("its date cannot be read")
	}
	if last, err = time.Parse(time.DateOnly, r.Expires); err != nil {
		return date, last, errors.New("its expiry cannot be read")
	}
	return date, last, nil
}

// Grounded tells whether an answer cites what its class wants: whoever read documents says which.
func (r Review) Grounded(wants profiles.Class) error {
	if wants == profiles.Document && len(r.Rows) == 0 && len(r.Evidence) == 0 {
		return errors.New("it cites neither a row of the dossier nor a document")
	}
	if !dossier.Reasoned(r.Statement) || !dossier.Reasoned(r.By.Name) {
		return errors.New("it has no statement or no name")
	}
	return nil
}

// About tells whether the review answers a unit.
func (r Review) About(address string) bool { return slices.Contains(r.Units, address) }
