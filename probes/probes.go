// Package probes is the contract between a question and the bench it is asked on:
// a probe puts one question to the device and writes down facts. It never judges,
// never dials for itself, and never knows who runs it.
package probes

import "context"

// A Probe puts one question to the device on a bench.
// Its exported fields are the parameters a check may set (JSON names).
type Probe interface {
	// Ask returns what the device did. An error means the bench failed;
	// a device that hangs up, lies or stays silent has answered.
	Ask(ctx context.Context, b *Bench) (Facts, error)
}

// Facts is a flat struct with JSON names: what was seen, with the probe's own
// controls among it, and no pass or fail.
type Facts any

// A Kind describes a probe in data, so that planner, command line and
// documentation read one source.
type Kind struct {
	Name    string       // "update/refusal": folder below probes
	Version string       // changes whenever the same device could yield other facts
	Asks    string       // one sentence that ends in a question mark
	Needs   []Need       // instruments and operations; "{via}" stands for the parameter via in both
	Touch   Touch        // what asking does to the device
	Typical int          // seconds it usually takes, for the plan's estimate
	New     func() Probe // every parameter at its default
	Facts   func() Facts // a zero value, for type checks
}

// A Need is an instrument of the bench or an operation of the dossier.
type Need struct {
	Instrument Instrument
	Operation  string
}

// Touch orders steps by what they do to the device.
type Touch string

const (
	Observe  Touch = "observe"  // nothing is sent to the device
	Interact Touch = "interact" // used as its user would
	Disrupt  Touch = "disrupt"  // may restart it or change its firmware
	Destroy  Touch = "destroy"  // user data is gone afterwards
)

// Touches lists all touches, the gentlest first.
var Touches = []Touch{Observe, Interact, Disrupt, Destroy}
