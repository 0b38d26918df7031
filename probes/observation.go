package probes

import (
	"encoding/json"
	"time"
)

// An Observation is one probe's facts, or the bench's error, or the reason why it was
// never asked, stamped by the runner. Its JSON names are API.
type Observation struct {
	ID      string          `json:"id"`      // "o-007", in order of asking
	Step    string          `json:"step"`    // the plan's step: probe and parameters, e.g. "update/refusal{variant=unsigned,via=coap}"
	Attempt int             `json:"attempt"` // 1, or more when a step was asked again
	Probe   string          `json:"probe"`
	Version string          `json:"version"` // of the probe
	With    json.RawMessage `json:"with"`    // every parameter, defaults included
	Unit    string          `json:"unit"`
	Start   time.Time       `json:"start"`
	End     time.Time       `json:"end"`

	Facts    json.RawMessage `json:"facts,omitempty"`
	Error    string          `json:"error,omitempty"`     // the bench failed
	NotAsked string          `json:"not_asked,omitempty"` // why nobody asked

	Frames *Frames `json:"frames,omitempty"` // where in the capture it can be seen
	Alive  *bool   `json:"alive,omitempty"`  // the device answered its health operation afterwards
}

// Frames are the frames of a capture file that belong to an observation, numbered from 1 as Wireshark does.
type Frames struct {
	File    string `json:"file"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	Dropped uint64 `json:"dropped"` // lost by the kernel meanwhile
}
