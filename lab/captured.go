package lab

import (
	"fmt"
	"path/filepath"
	"regexp"

	"assay/lab/capture"
	"assay/lab/evidence"
)

// Captured is the record of a capture that was closed: its files, and in which seconds the kernel lost frames.
type Captured struct {
	evidence.Capture
	Losses capture.Losses `json:"losses"`
}

// KeepCapture takes a closed capture into the record: every file of it as an artefact, and what is known of them.
func KeepCapture(j *evidence.Journal, c *capture.Capture) (evidence.Capture, error) {
	stats := c.Stats()
	body := Captured{Capture: evidence.Capture{Frames: stats.Frames, Dropped: stats.Dropped}, Losses: c.Losses()}
	for _, v := range c.Volumes() {
		name := filepath.Base(v.Path)
		if _, err := j.AddFile(name, mediaCapture, v.Path); err != nil {
			return body.Capture, err
		}
		body.Parts = append(body.Parts, evidence.Part{File: name, Frames: v.Frames})
	}
	body.File = body.Parts[0].File
	if len(body.Parts) == 1 {
		body.Parts = nil
	}
	if _, err := j.Append(evidence.KindCapture, body); err != nil {
		return body.Capture, fmt.Errorf("record %s: %w", body.File, err)
	}
	return body.Capture, nil
}

// partName is how a capture names the files in which it goes on.
var partName = regexp.MustCompile(`^(.+)\.\d{5,}(\.pcapng)$`)

// captureOf tells which capture a file belongs to: the name of its first file.
func captureOf(name string) string { return partName.ReplaceAllString(name, "$1$2") }

// keepLeft records a capture that nobody closed: what whole frames its files hold, in their order.
func keepLeft(j *evidence.Journal, in *Inputs, name string, files []string) error {
	for _, c := range in.Captures {
		if c.File == name {
			return nil
		}
	}
	body := struct {
		evidence.Capture
		Note string `json:"note"` // why nobody closed it
	}{Capture: evidence.Capture{File: name}, Note: Interruption + ": how many frames the kernel lost after the last observation is not known"}
	for _, file := range files {
		n, err := capture.Count(filepath.Join(j.Dir(), file))
		if err != nil && unreadable(err) {
			return err
		}
		body.Frames, body.Dropped, body.Cut = body.Frames+n.Frames, max(body.Dropped, n.Dropped), n.Cut || err != nil // the last file's
		body.Parts = append(body.Parts, evidence.Part{File: file, Frames: n.Frames})
	}
	if len(files) == 1 {
		body.Parts = nil
	}
	for _, o := range in.Observations {
		if o.Frames != nil && o.Frames.File == name && o.Frames.Last > body.Frames {
			return &evidence.Broken{What: "completeness", Where: name, Why: fmt.Sprintf("it holds %d whole frames, but observation %s cites frame %d", body.Frames, o.ID, o.Frames.Last)}
		}
	}
	if _, err := j.Append(evidence.KindCapture, body); err != nil {
		return fmt.Errorf("record %s: %w", name, err)
	}
	return nil
}
