// Package segment makes the bench's own piece of network inside namespaces that belong to it
// alone: a bridge, a cable (veth pair) for the device, mounts that show nothing of the host. It
// never touches a namespace that anybody else uses, and needs no external program.
package segment

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// The names inside the bench's namespace.
const (
	Bridge   = "br0"  // the bench's own port
	BenchEnd = "dut0" // where the device's cable enters the bridge: every frame of the device passes here
	UnitEnd  = "eth0" // the device's own network interface, in the device's namespace
)

// Options say what the segment looks like.
type Options struct {
	Address netip.Prefix // of the bench
	MAC     string       // of the device's interface
	Dir     string       // a folder of the run, for files that are mounted over the host's
}

// An Interface is one network interface, for the record.
type Interface struct {
	Name        string   `json:"name"`
	MAC         string   `json:"mac,omitempty"`
	Address     string   `json:"address,omitempty"`
	OffloadsOff []string `json:"offloads_off,omitempty"` // so that captured frames are those on the wire
}

// A StepError tells which step of building a segment the system refused. Its fields travel as
// JSON from the process that tried to the one that explains it.
type StepError struct {
	Step  string        `json:"step"`
	Errno syscall.Errno `json:"errno"`
	Text  string        `json:"text"`

	cause error
}

// Error names step and cause.
func (e *StepError) Error() string { return e.Step + ": " + e.Text }

// Unwrap gives the cause, or what is left of it: the system's error.
func (e *StepError) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// ErrNoIPv6 says that this machine cannot ask over IPv6 on a link.
var ErrNoIPv6 = errors.New("no IPv6 from here")

// An InUseError says that an interface is somebody's already.
type InUseError struct{ Name, Because string }

// Error says so.
func (e *InUseError) Error() string {
	return e.Name + " is somebody's already: " + e.Because
}

// refused wraps what the system answered to a step.
func refused(step string, err error) error {
	if err == nil {
		return nil
	}
	e := &StepError{Step: step, Text: err.Error(), cause: err}
	errors.As(err, &e.Errno)
	return fmt.Errorf("segment: %w", e)
}
