package main

import (
	"context"
	"fmt"
	"path/filepath"

	"assay/lab"
	"assay/lab/bench"
	"assay/lab/evidence"
)

// putBeside puts up the benches of the further units, on the same network as the first.
func (s *session) putBeside(ctx context.Context, first *bench.Bench, put build) error {
	for _, u := range s.in.others {
		b, err := put(ctx, bench.Options{
			Dir: s.dir, Dossier: s.in.dossier, Unit: u.ID, File: s.in.file, Several: true, Beside: first, Person: person(), Log: s.progress.story,
		})
		if err != nil {
			s.closeBeside()
			return fmt.Errorf("for %s: %w", u.ID, err)
		}
		s.beside = append(s.beside, b)
	}
	return nil
}

// closeBeside closes them, the last first, before the bench whose servers they use.
func (s *session) closeBeside() {
	for n := len(s.beside) - 1; n >= 0; n-- {
		if err := s.beside[n].Close(); err != nil {
			s.progress.say("close the bench of %s: %v", s.in.others[n].ID, err)
		}
	}
}

// identities writes down how each unit was proven to be the one that answers.
func (s *session) identities(first *bench.Bench) error {
	for _, b := range append([]*bench.Bench{first}, s.beside...) {
		id := b.Identity()
		if id == nil {
			continue
		}
		s.progress.say("%v", id)
		body := struct {
			*bench.Identity
			Bench any `json:"bench,omitempty"` // of a further unit
		}{Identity: id}
		if b != first {
			body.Bench = b.Description()
		}
		if _, err := s.journal.Append(evidence.KindUnit, body); err != nil {
			return err
		}
	}
	return nil
}

// strangers writes down who else was on the bench's own segment.
func (s *session) strangers(b *bench.Bench) error {
	all := b.Strangers()
	if len(all) == 0 {
		return nil
	}
	for _, one := range all {
		s.progress.say("%v was on %s too, which no unit of the dossier has: nothing of it counts as a unit's", one, s.in.file.Interface)
	}
	_, err := s.journal.Append(evidence.KindNote, struct {
		About     string           `json:"about"`
		Strangers []bench.Stranger `json:"strangers"`
	}{"strangers", all})
	return err
}

// finishBeside closes the benches of the further units and adds what they captured and logged beside the first one's.
func (s *session) finishBeside(first *bench.Bench) error {
	s.closeBeside()
	for _, b := range s.beside {
		if b.Capture != nil && b.Capture != first.Capture {
			if _, err := lab.KeepCapture(s.journal, b.Capture); err != nil {
				return err
			}
		}
		for _, log := range b.Logs() {
			if _, err := s.journal.AddFile(filepath.Base(log), "text/plain", log); err != nil {
				return err
			}
		}
	}
	return nil
}
