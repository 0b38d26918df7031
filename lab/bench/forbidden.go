package bench

import (
	"errors"
	"fmt"

	"assay/probes"
)

// A Forbidden is what the system does not allow the full bench, and what would change that.
type Forbidden struct {
	What   string // the step that was refused, e.g. "namespaces"
	Err    error
	Remedy string
}

// Error says what is refused; Hint how to mend it.
func (f *Forbidden) Error() string {
	return fmt.Sprintf("the private bench is not possible here: %s: %v", f.What, f.Err)
}

// Hint names the command or setting that would allow it.
func (f *Forbidden) Hint() string { return f.Remedy }

// Unwrap gives the system's answer; the family is the bench's.
func (f *Forbidden) Unwrap() []error { return []error{f.Err, probes.ErrBench} }

func forbidden(what string, err error) error {
	return &Forbidden{What: what, Err: err, Remedy: remedy(what, err)}
}

// A hinted is an error with what the lab can do about it.
type hinted struct {
	error
	hint string
}

// Hint names the command or file that mends it.
func (h *hinted) Hint() string { return h.hint }

// Unwrap gives the error.
func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return &hinted{err, hint} }

// ErrInput is the family of what the lab can mend in its own files: dossier, images, bench.yaml.
var ErrInput = errors.New("unusable input")

// input is an error of that family, whose words say it already.
type input struct{ error }

// Unwrap gives the error.
func (i input) Unwrap() error { return i.error }

// Is tells the family.
func (i input) Is(target error) bool { return target == ErrInput } //nolint:errorlint // asked by errors.Is

func unusable(err error) error { return input{err} }
