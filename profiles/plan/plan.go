// Package plan settles before a run what will be asked: a dossier, a profile and the
// probes at hand become ordered steps, each with its reason where nobody can or need
// ask it. It never touches a device and never judges one.
package plan

import (
	"encoding/json"

	"assay/probes"
)

// A Plan is what a run will ask, in order.
type Plan struct {
	Profile string `json:"profile"`
	Version string `json:"version"` // of the profile
	Steps   []Step `json:"steps"`
	Typical int    `json:"typical_seconds"` // of every step that will be asked
}

// A Step is one probe with one set of parameters, asked once for every check that wants it.
type Step struct {
	ID      string          `json:"id"` // probe and full parameters, e.g. "update/refusal{variant=unsigned,via=coap}"
	Probe   string          `json:"probe"`
	Version string          `json:"version"` // of the probe
	With    json.RawMessage `json:"with"`    // every parameter, defaults included
	Touch   probes.Touch    `json:"touch"`
	Typical int             `json:"typical_seconds"`
	Checks  []string        `json:"checks"` // ids of the checks it serves, sorted

	// NotAsked is why nobody will ask; empty where somebody will. A runner writes it
	// down as an observation, so that the record has an answer or a reason for every step.
	NotAsked string `json:"not_asked,omitempty"`
	// Inapplicable tells that NotAsked is the dossier's doing: no check that wants the step applies to the product.
	Inapplicable bool `json:"inapplicable,omitempty"`
}
