// Package bench builds the instruments that probes are handed, for one dossier and one unit: the
// reference bench in private namespaces, the reduced bench on loopback, and the bench attached to
// a network that the lab does not own. It says before a run what it cannot do and what would
// change that. It never asks a question, never judges an answer, and lets nothing of the device
// out of its segment.
package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"assay/lab/bench/intercept"
	"assay/lab/bench/power"
	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/lab/bench/states"
	"assay/lab/capture"
	"assay/lab/drive"
	"assay/probes"
	"assay/profiles/dossier"
)

// The modes.
const (
	ModeReference = "reference" // private namespaces, a reference device, every frame captured
	ModeReduced   = "reduced"   // loopback, a reference device, nothing captured
	ModeAttached  = "attached"  // a real device that already has its address
	ModeGateway   = "gateway"   // a real device on an interface that the bench owns: the bench is its whole network
	ModeOffline   = "offline"   // no device: captures recorded elsewhere; nothing can be run
)

// Options say what to build a bench for.
type Options struct {
	Dir     string           // the run's folder; it exists
	Dossier *dossier.Dossier // required
	Unit    string           // the unit's id in the dossier
	File    *File            // attached: bench.yaml
	Several bool             // other units are tested on the same network
	Beside  *Bench           // the bench of another unit on the same network, whose servers this one uses; close it last
	Device  *Simulated       // reference and reduced: the device to start
	Person  drive.Person     // nil: nobody sits at the bench
	Leg     int              // 2 and more: the run goes on after an interruption, and its files get this number
	Log     func(string)     // the story, one line at a time; nil: nobody listens
}

// Simulated tells how to start a reference device as a process of this program.
type Simulated struct {
	Config string // its configuration file (JSON)
	Flash  string // its flash file; empty: the one of the configuration
	MAC    string // empty: the one of the configuration
	// Delivered is where its flash as delivered is kept, so that a run which goes on begins with that again
	// and not with what the interruption left; empty: it is kept in memory only.
	Delivered string
	Args      []string // arguments of this program; the one that equals Config is replaced by the bench's own copy
}

// Missing is something that this bench cannot do.
type Missing struct {
	Instrument probes.Instrument `json:"instrument"`
	Because    string            `json:"because"`
	Mend       string            `json:"mend"`
}

// A Bench is one set of instruments around one unit. Close it.
type Bench struct {
	Mode        string
	Probes      *probes.Bench
	Capture     *capture.Capture // nil: nothing is captured
	CaptureFile string           // where it is written
	DeviceLog   string           // what a reference device's process said; whole once the bench is closed; empty: there is none
	ConsoleLog  string           // what the device said on its serial console; the same
	Missing     []Missing

	description Description
	driver      *drive.Driver
	operations  map[string]dossier.Operation
	host        atomic.Pointer[func() string] // interception asks for it as soon as it stands
	restore     func(context.Context) error
	serves      *servers // what the bench serves, for the benches beside it
	address     string   // of the bench, as devices reach it
	segment     *segment.Segment
	leased      *services.DHCP
	cables      int                                   // on the segment
	switched    *power.Supply                         // nil: the bench cannot switch the device's supply
	pressed     bool                                  // the bench presses the device's buttons itself
	delivered   states.State                          // what Restore brings the device back to
	own         []states.Move                         // what this bench can do beside what every bench can
	deeds       []states.Deed                         // of restoring, until the record has them
	identity    *Identity                             // how the unit was proven to be the one that answers
	answering   func(context.Context) (string, error) // looks from which MAC address the device answers; nil: nobody can
	log         func(string)
	keys        *intercept.Keys // of every connection to the cloud that was terminated here
	ntp         *services.NTP
	checks      []func(context.Context) error // of the bench itself
	proof       *proof                        // how it proves itself with a known-good device; nil: it cannot
	counters    map[string]func() services.Counts
	several     bool           // units are on the same network
	closers     []func() error // in the order in which they were opened
}

const (
	// upTime is how long a reference device may take from power-on to a healthy answer.
	upTime     = 20 * time.Second
	upInterval = 20 * time.Millisecond
	healthTime = 6 * time.Second
)

// Instruments are handed to every probe.
func (b *Bench) Instruments() *probes.Bench { return b.Probes }

// Description tells what the bench is made of, for the record.
func (b *Bench) Description() Description { return b.description }

// Counts tells what the bench's datagram services met so far, by service.
func (b *Bench) Counts() map[string]services.Counts {
	out := map[string]services.Counts{}
	for name, count := range b.counters {
		out[name] = count()
	}
	return out
}

// Host is the device's address now; empty while nobody knows it.
func (b *Bench) Host() string {
	if at := b.host.Load(); at != nil {
		return (*at)()
	}
	return ""
}

// knows is how the device's address is found from now on.
func (b *Bench) knows(at func() string) { b.host.Store(&at) }

// Restore brings the device back to the state in which it was delivered, as far as this bench can,
// and waits until it is healthy.
func (b *Bench) Restore(ctx context.Context) error {
	if err := b.settle(); err != nil {
		return fmt.Errorf("restore the device: %w", err)
	}
	if err := b.restore(ctx); err != nil {
		return fmt.Errorf("restore the device: %w", err)
	}
	return nil
}

// Healthy tells whether the device answers now: by its health operation, or where the dossier has
// none by the gentlest other operation that it has.
func (b *Bench) Healthy(ctx context.Context) bool { return b.ails(ctx) == "" }

// ails tells what keeps the device from being called healthy, in its own words where it has any: a
// login of the dossier that it refuses is mended elsewhere than a device that is silent. Empty: it is well.
func (b *Bench) ails(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	for _, name := range []string{probes.Health, probes.ReadVersion} {
		if !slices.Contains(b.driver.Operations(), name) {
			continue
		}
		r, err := b.driver.Do(ctx, name, nil)
		switch {
		case err != nil:
			return err.Error()
		case r.Outcome == probes.Done:
			return ""
		case r.Detail == "":
			return fmt.Sprintf("operation %s: %s", name, r.Outcome)
		}
		return fmt.Sprintf("operation %s: %s (%s)", name, r.Outcome, r.Detail)
	}
	if answered, tried := b.answers(ctx); !answered {
		return "it answers none of " + strings.Join(tried, ", ")
	}
	return ""
}

// Close ends every instrument, the last one first. A second Close does nothing.
func (b *Bench) Close() error {
	var errs []error
	for _, c := range slices.Backward(b.closers) {
		errs = append(errs, c())
	}
	b.closers = nil
	return errors.Join(errs...)
}

func (b *Bench) onClose(f func() error) { b.closers = append(b.closers, f) }

func (b *Bench) say(format string, args ...any) {
	if b.log != nil {
		b.log(fmt.Sprintf(format, args...))
	}
}

// newBench checks the options and begins a bench of a mode.
func newBench(mode string, o Options) (*Bench, error) {
	if o.Dossier == nil || o.Dir == "" {
		return nil, fmt.Errorf("build the %s bench: dossier and folder are needed: %w", mode, probes.ErrBench)
	}
	b := &Bench{Mode: mode, Probes: &probes.Bench{Clock: Clock{}}, several: o.Several || o.Beside != nil, log: o.Log, counters: map[string]func() services.Counts{}}
	if o.Beside != nil {
		b.keys = o.Beside.keys // the servers are the first bench's, and so are the connections that they end
	} else {
		b.keys = intercept.NewKeys(o.file("keys", ".log"))
		b.onClose(b.keys.Close)
	}
	can, all := Offers(mode, o.File, o.Dossier)
	if b.several {
		all = append(all, everybodys(mode, can)...)
	}
	for _, m := range all {
		// What an instrument cannot do for this dossier is the planner's to know; here it is whether there is one.
		if !strings.Contains(string(m.Instrument), "/") {
			b.Missing = append(b.Missing, m)
		}
	}
	b.description = describe(mode)
	b.description.Missing = b.Missing
	set, err := loadImages(o.Dossier)
	if err != nil {
		return nil, err
	}
	if set != nil {
		b.Probes.Images = set
	}
	known, err := loadAdvisories(o.Dossier)
	if err != nil {
		return nil, err
	}
	if known != nil {
		b.Probes.Advisories = known
	}
	return b, nil
}

// drive makes the device instrument.
func (b *Bench) drive(o Options, address string, s *servers, button drive.Button) error {
	d, err := drive.New(drive.Options{
		Dossier: o.Dossier, Unit: o.Unit, Host: b.Host, BenchAddress: address,
		Cloud: s.inside, Button: button, Person: o.Person, Clock: b.Probes.Clock, Logs: o.Dir,
	})
	if err != nil {
		return err
	}
	b.driver, b.operations, b.Probes.Device = d, o.Dossier.Operations, d
	if b.Mode != ModeReduced {
		b.Probes.Scanner = b.scanner(o)
	}
	return nil
}

// capture arms the capture on an interface.
func (b *Bench) capture(ctx context.Context, o capture.Options) error {
	o.Clock = b.Probes.Clock
	// It ends when the bench is closed and not with the run, of which Ctrl-C may be the end: the keys are still to come.
	c, err := capture.Open(context.WithoutCancel(ctx), o)
	if err != nil {
		return err
	}
	b.Capture, b.CaptureFile, b.Probes.Sniffer = c, o.Path, c
	b.description.Capture = o.Interface
	b.onClose(c.Close)
	// The keys of the connections to the cloud that were terminated here go into the capture before it is
	// closed, so that whoever holds the evidence can read what the device said; a copy may withhold them.
	b.onClose(func() error {
		if keys := b.KeyLog(); len(keys) > 0 {
			return c.Secrets(keys)
		}
		return nil
	})
	return nil
}

// file is where in the run's folder a file of this leg lies.
func (o Options) file(base, ending string) string {
	if o.Beside != nil {
		base += "-" + filepath.Base(o.Unit) // the first unit's has the plain name
	}
	if o.Leg > 1 {
		base += "-" + strconv.Itoa(o.Leg)
	}
	return filepath.Join(o.Dir, base+ending)
}

// awaitUp waits until the device is healthy.
func (b *Bench) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	var why string
	for {
		if b.well(ctx, &why) {
			return nil
		}
		if err := b.Probes.Clock.Wait(ctx, upInterval); err != nil {
			return fmt.Errorf("wait for the device: %s: %w: %w", why, err, probes.ErrBench)
		}
	}
}

// well looks once whether the device is well, for whoever waits for it, and keeps what it ailed when last seen:
// a look that the end of the wait cut short tells nothing of the device.
func (b *Bench) well(ctx context.Context, why *string) bool {
	if b.Host() == "" {
		*why = "it has not asked for an address"
		return false
	}
	now := b.ails(ctx)
	if *why == "" || ctx.Err() == nil {
		*why = now
	}
	return now == ""
}

// around builds a bench of a mode around a real device, by its bench file. What was begun is ended where it
// cannot be completed.
func around(ctx context.Context, mode string, o Options, put func(*Bench, context.Context, Options) error) (*Bench, error) {
	if o.File == nil {
		return nil, unusable(fmt.Errorf("build the %s bench: no bench file", mode))
	}
	b, err := newBench(mode, o)
	if err != nil {
		return nil, err
	}
	if err := put(b, ctx, o); err != nil {
		return nil, errors.Join(fmt.Errorf("build the %s bench: %w", mode, err), b.Close())
	}
	return b, nil
}

// unitOf finds the unit in the dossier.
func unitOf(d *dossier.Dossier, id string) (dossier.Unit, error) {
	for _, u := range d.Units {
		if u.ID == id {
			return u, nil
		}
	}
	return dossier.Unit{}, unusable(fmt.Errorf("dossier: no unit %q", id))
}
