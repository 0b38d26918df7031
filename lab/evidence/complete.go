package evidence

import (
	"errors"
	"fmt"
	"slices"

	"assay/firmware/strictjson"
	"assay/probes"
)

// decodeBody reads a record's body. Fields that are not asked for are left alone:
// newer programs may write more.
func decodeBody[T any](r Record) (T, error) {
	var v T
	return v, r.Decode(&v)
}

// Decode reads a record's body into a struct, and refuses one that another reader would read otherwise.
func (r Record) Decode(v any) error {
	if err := strictjson.Unmarshal(r.Body, v); err != nil {
		return fmt.Errorf("%s: %w", r.Kind, err)
	}
	return nil
}

// checkRecord checks what one record must say by itself.
func checkRecord(r Record) error {
	switch r.Kind {
	case KindObservation:
		o, err := decodeBody[probes.Observation](r)
		if err == nil && (o.ID == "" || o.Step == "") {
			err = errors.New("observation: no id or no step")
		}
		return err
	case KindStep:
		s, err := decodeBody[Step](r)
		if err == nil && s.Step == "" {
			err = errors.New("step: its body names no step")
		}
		return err
	case KindCapture:
		c, err := decodeBody[Capture](r)
		if err == nil {
			err = c.check()
		}
		return err
	case KindArtefact:
		a, err := decodeBody[Artefact](r)
		if err != nil {
			return err
		}
		if !isDigest(a.SHA256) || a.Size < 0 {
			return errors.New("artefact: no SHA-256 digest or no size")
		}
		return checkArtefact(a.Name, a.MediaType)
	}
	return nil
}

// gather takes the artefacts and the end out of the records, each artefact once.
func (e *Evidence) gather() error {
	e.byName = map[string]int{}
	sizes := map[string]int64{}
	for i, r := range e.Records {
		where := lineName(i + 1)
		if err := checkRecord(r); err != nil {
			return broken(layerChain, where, "%v", err)
		}
		switch {
		case (i == 0) != (r.Kind == KindBegin):
			return broken(layerComplete, where, "begin is the first record, and only the first")
		case e.Ended:
			return broken(layerComplete, where, "a record after the end")
		}
		e.Ended = r.Kind == KindEnd
		if r.Kind != KindArtefact {
			continue
		}
		a, err := decodeBody[Artefact](r)
		if err != nil {
			return broken(layerChain, where, "%v", err)
		}
		if _, ok := e.byName[a.Name]; ok {
			return broken(layerComplete, where, "artefact %s a second time", a.Name)
		}
		if size, ok := sizes[a.SHA256]; ok && size != a.Size {
			return broken(layerComplete, where, "artefact %s has two sizes", a.Name)
		}
		e.byName[a.Name], sizes[a.SHA256] = len(e.Artefacts), a.Size
		e.Artefacts = append(e.Artefacts, a)
	}
	return nil
}

// files lists the distinct files of the artefacts, in journal order.
func (e *Evidence) files() []Artefact {
	var list []Artefact
	seen := map[string]bool{}
	for _, a := range e.Artefacts {
		if !seen[a.SHA256] {
			seen[a.SHA256] = true
			list = append(list, a)
		}
	}
	return list
}

// checkComplete checks what the records must say together: the run came to its end,
// every step that began has an observation, and every cited frame is in a capture
// that is here.
func (e *Evidence) checkComplete() error {
	if len(e.Records) == 0 {
		return broken(layerComplete, journalName, "it has no record")
	}
	if !e.Ended {
		return broken(layerComplete, lineName(len(e.Records)), "the last record is %s, not end", e.Records[len(e.Records)-1].Kind)
	}
	frames, _, err := e.frameCounts()
	if err != nil {
		return err
	}
	ids := map[string]bool{}
	asked := map[Step]bool{}
	for i, r := range e.Records {
		if r.Kind != KindObservation {
			continue
		}
		o, err := decodeBody[probes.Observation](r)
		if err != nil {
			return broken(layerComplete, lineName(i+1), "%v", err)
		}
		if ids[o.ID] {
			return broken(layerComplete, lineName(i+1), "observation %s a second time", o.ID)
		}
		ids[o.ID] = true
		for _, unit := range []string{"", o.Unit} {
			asked[Step{o.Step, max(o.Attempt, 1), unit}] = true
		}
		if err := e.checkFrames(o.Frames, frames); err != nil {
			return broken(layerComplete, lineName(i+1), "observation %s: %v", o.ID, err)
		}
	}
	return e.checkSteps(asked)
}

// checkSteps demands an observation for each step that began.
func (e *Evidence) checkSteps(asked map[Step]bool) error {
	for i, r := range e.Records {
		if r.Kind != KindStep {
			continue
		}
		s, err := decodeBody[Step](r)
		if err != nil {
			return broken(layerComplete, lineName(i+1), "%v", err)
		}
		s.Attempt = max(s.Attempt, 1)
		// A redacted copy may leave the observation out; the whole could not be sealed without it.
		if !asked[s] && !e.Redacted {
			return broken(layerComplete, lineName(i+1), "step %s began, but has no observation", s.Step)
		}
	}
	return nil
}

// frameCounts collects how many frames each capture has, through all of its files, and each file, as far as the
// records say so.
func (e *Evidence) frameCounts() (counts, files map[string]uint64, err error) {
	counts, files = map[string]uint64{}, map[string]uint64{}
	several := map[string][]Part{} // by the name of the first
	for i, r := range e.Records {
		file, frames := "", (*uint64)(nil)
		switch r.Kind {
		case KindCapture:
			c, err := decodeBody[Capture](r)
			if err != nil {
				return nil, nil, broken(layerComplete, lineName(i+1), "%v", err)
			}
			for _, p := range c.Parts {
				if _, ok := e.Find(p.File); !ok {
					return nil, nil, broken(layerComplete, lineName(i+1), "capture %q, a part of %s, is no artefact", p.File, c.File)
				}
				if n, ok := files[p.File]; ok && n != p.Frames {
					return nil, nil, broken(layerComplete, lineName(i+1), "capture %s has %d frames here and %d before", p.File, p.Frames, n)
				}
				files[p.File] = p.Frames
			}
			if before, ok := several[c.File]; ok && !slices.Equal(before, c.Parts) {
				return nil, nil, broken(layerComplete, lineName(i+1), "capture %s goes on in other files here than before", c.File)
			}
			if len(c.Parts) > 0 {
				several[c.File] = c.Parts
			}
			file, frames = c.File, &c.Frames
		case KindEnd:
			c, err := decodeBody[struct {
				Capture string  `json:"capture"`
				Frames  *uint64 `json:"frames"`
			}](r)
			if err != nil {
				return nil, nil, broken(layerComplete, lineName(i+1), "%v", err)
			}
			file, frames = c.Capture, c.Frames
		}
		if file == "" || frames == nil {
			continue
		}
		if _, ok := e.Find(file); !ok {
			return nil, nil, broken(layerComplete, lineName(i+1), "capture %q is no artefact", file)
		}
		if n, ok := counts[file]; ok && n != *frames {
			return nil, nil, broken(layerComplete, lineName(i+1), "capture %s has %d frames here and %d before", file, *frames, n)
		}
		counts[file] = *frames
	}
	for file, n := range counts {
		part, ok := files[file]
		if !ok {
			files[file] = n
		} else if _, first := several[file]; !first && part != n {
			return nil, nil, broken(layerComplete, journalName, "capture %s has %d frames by itself and %d as a part of another", file, n, part)
		}
	}
	return counts, files, nil
}

// checkFrames checks that cited frames exist. An empty range ends one before it begins.
func (e *Evidence) checkFrames(f *probes.Frames, counts map[string]uint64) error {
	if f == nil {
		return nil
	}
	if _, ok := e.Find(f.File); !ok {
		return fmt.Errorf("its frames are in %q, which is no artefact", f.File)
	}
	if f.First == 0 || f.Last < f.First-1 {
		return fmt.Errorf("frames %d to %d are no range", f.First, f.Last)
	}
	n, ok := counts[f.File]
	if !ok {
		return fmt.Errorf("its frames are in %s, and no record tells how many that has", f.File)
	}
	if f.Last > n {
		return fmt.Errorf("frame %d of %s, which has %d", f.Last, f.File, n)
	}
	return nil
}
