package probes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"assay/firmware"
)

// Instrument names one thing a bench may have.
type Instrument string

const (
	InstrumentDevice  Instrument = "device"  // the device itself, through its operations
	InstrumentUpdates Instrument = "updates" // an update server the device can fetch from
	InstrumentImages  Instrument = "images"  // the maker's genuine images
	// InstrumentAdvisories is a dated snapshot of publicly known vulnerabilities.
	InstrumentAdvisories Instrument = "advisories"

	InstrumentBroker  Instrument = "broker"  // the device's cloud broker, owned by the bench
	InstrumentSniffer Instrument = "sniffer" // capture of every frame of the device
	InstrumentFlash   Instrument = "flash"   // a dump of the device's storage
	InstrumentClock   Instrument = "clock"
	InstrumentPower   Instrument = "power"   // the device's supply
	InstrumentButton  Instrument = "button"  // the device's reset button
	InstrumentPerson  Instrument = "person"  // somebody at the bench
	InstrumentScanner Instrument = "scanner" // knocks at every port of the device, and of nobody else

	// InstrumentInterceptor answers for the device's cloud with a certificate of the bench's choice. What
	// it can do for one dossier is named below it: interceptor/mqtts, interceptor/mqtts/expired.
	InstrumentInterceptor Instrument = "interceptor"

	InstrumentTime Instrument = "time" // what a device is told that asks for the time

	InstrumentLink      Instrument = "link"       // the device's cable: it can be cut
	InstrumentLinkDelay Instrument = "link/delay" // and be slow,
	InstrumentLinkLoss  Instrument = "link/loss"  // lose frames,
	InstrumentLinkRate  Instrument = "link/rate"  // or be narrow
)

// A Bench holds the instruments a probe may use. One that this bench lacks is
// nil; the planner knows it before the run.
type Bench struct {
	Device  Device
	Updates Updates
	Images  Images
	Broker  Broker
	Sniffer Sniffer
	Flash   Flash
	Scanner Scanner
	Link    Link
	Time    Time
	Power   Power
	Clock   Clock

	Advisories  Advisories
	Interceptor Interceptor
}

// ErrBench is the family of every failure of our own side. What a device does is never an error.
var ErrBench = errors.New("bench")

// The bench's failures that callers tell apart.
var (
	ErrNoCapture   = fmt.Errorf("capture is not running: %w", ErrBench)
	ErrNoImage     = fmt.Errorf("no such image in the dossier: %w", ErrBench)
	ErrNoOperation = fmt.Errorf("no such operation in the dossier: %w", ErrBench)
)

// Device is the unit under test, driven by the dossier's operations.
type Device interface {
	// Unit tells which unit this is.
	Unit() Unit
	// Operations lists the names of the dossier's operations, sorted.
	Operations() []string
	// Do makes the device do one operation. An error is the bench's; whatever
	// the device answered, or did not, is in the result.
	Do(ctx context.Context, operation string, args Args) (Result, error)
}

// Args are an operation's arguments by name. Values may be secret.
type Args map[string]string

// A Unit is one physical specimen of the product.
type Unit struct {
	ID     string
	Serial string
	MAC    string
	Model  string
	// Logins are what this unit's label or papers give its owner, by interface (http, mqtt, coap ...).
	Logins map[string]Login
	// Others are the logins of the other units of the model in the dossier, by interface.
	Others map[string][]Login
}

// A Login is a name and a secret, with the declared brute-force protection of its interface.
type Login struct {
	Username     string
	Password     string
	LockoutAfter int           // declared wrong tries before the interface locks; 0: none declared
	LockoutLasts time.Duration // declared length of the lock
}

// Result is what the device did when it was asked for an operation.
type Result struct {
	Outcome Outcome
	Detail  string            // the device's own words, shortened, without secrets
	Values  map[string]string // what the recipe captures, e.g. version
	Text    string            // everything the device answered, for searches; may hold secrets
}

// Outcome is what a device did; a closed vocabulary. Strings in evidence are API.
type Outcome string

const (
	Done        Outcome = "done"        // it did what was asked
	Refused     Outcome = "refused"     // it answered and said no
	Limited     Outcome = "limited"     // it answered that it was asked too often
	Unreachable Outcome = "unreachable" // no connection: port closed, no route, no address
	Silent      Outcome = "silent"      // connected, then no answer before the deadline
	Reset       Outcome = "reset"       // it hung up in the middle
	Malformed   Outcome = "malformed"   // its answer does not follow the protocol
	Unexpected  Outcome = "unexpected"  // it answered by the protocol, but neither yes nor no in the recipe's terms
)

// Outcomes lists every outcome.
var Outcomes = []Outcome{Done, Refused, Limited, Unreachable, Silent, Reset, Malformed, Unexpected}

// Updates is the bench's update server.
type Updates interface {
	// Offer serves an image until the offer is closed. via is "https" or "coap".
	Offer(ctx context.Context, via string, image []byte) (Offer, error)
}

// An Offer is one image on the update server.
type Offer interface {
	URL() string
	// Fetched tells how much of it has been asked for so far.
	Fetched() Fetched
	Close() error
}

// Fetched is what a device took of an offer.
type Fetched struct {
	Requests int
	Bytes    int64
	Complete bool // every byte was sent at least once
}

// Images are the maker's genuine images from the dossier, each verified against the dossier's trust anchors.
type Images interface {
	// Newer returns the genuine image with the lowest version above version; ErrNoImage if there is none.
	Newer(version string) (Image, error)
	// Older returns the genuine image with the highest version below version; ErrNoImage if there is none.
	Older(version string) (Image, error)
	// All returns every image, the oldest first. Their bytes must not be changed.
	All(ctx context.Context) ([]Image, error)
	// Installed returns the version that the dossier declares as the one under test.
	Installed() string
	// Trust returns what genuine images verify under.
	Trust() firmware.Trust
}

// Advisories is what the lab brought along about publicly known vulnerabilities.
type Advisories interface {
	Snapshot() Snapshot
}

// A Snapshot is a folder of OSV entries and CSAF-VEX documents in JSON.
type Snapshot struct {
	Name   string // as the dossier names it
	Dated  time.Time
	SHA256 string // of all its files, as the inspection counts it, when the bench was built
	Files  fs.FS
}

// An Image is one firmware image.
type Image struct {
	Name    string
	Version string // as the device reports it, e.g. 1.1.0
	Bytes   []byte

	Signature []byte // where it lies beside the image; nil where the image carries its own
}

// Input is the image as the firmware library opens it.
func (i Image) Input() firmware.Input {
	in := firmware.FromBytes(i.Bytes)
	if i.Signature == nil {
		return in
	}
	artifact := in.Source
	in = firmware.FromBytes(i.Signature)
	in.Artifact = &artifact
	return in
}

// Broker is the device's cloud broker, owned by the bench.
type Broker interface {
	// Retained lists the messages kept for later subscribers.
	Retained(ctx context.Context) ([]Message, error)
	// Published lists what clients published since a moment.
	Published(ctx context.Context, since time.Time) ([]Message, error)
}

// A Message is one MQTT message.
type Message struct {
	At      time.Time
	Client  string
	Topic   string
	Payload []byte
	Retain  bool
}

// Sniffer captures every frame on the device's link.
type Sniffer interface {
	// Mark names this moment, after every frame before it has been written down.
	Mark(ctx context.Context) (Mark, error)
	// Window returns what was seen of the device between two marks.
	Window(ctx context.Context, from, to Mark) (Window, error)
}

// A Mark is a moment in the capture.
type Mark struct {
	At      time.Time `json:"at"`
	Frame   uint64    `json:"frame"`   // frames written so far; the next one has this number plus one
	Dropped uint64    `json:"dropped"` // frames the kernel lost so far
}

// A Window is a stretch of the capture. Nothing was seen is a fact only where Complete is true.
type Window struct {
	Frames   uint64 // frames on the link
	Sent     uint64 // frames the device sent
	Dropped  uint64 // frames lost by the kernel
	Complete bool   // capture ran all the time and lost nothing
	// Payloads yields what the device sent: each UDP payload, each TCP stream in order, each other frame whole,
	// and once more what a protocol had cut apart (block-wise transfers of CoAP), as it joins.
	Payloads func(yield func([]byte) bool)
}

// Flash reads the device's storage.
type Flash interface {
	// Dump returns the whole storage as it is now.
	Dump(ctx context.Context) (io.ReadCloser, error)
}

// Power is the device's supply.
type Power interface {
	// Off takes the supply away; it returns once the switch has confirmed that.
	Off(ctx context.Context) error
	// On gives it back; it returns once the switch has confirmed that. The device may still be starting.
	On(ctx context.Context) error
}

// Clock is the bench's time.
type Clock interface {
	Now() time.Time
	// Wait returns after d, or earlier with the context's error.
	Wait(ctx context.Context, d time.Duration) error
}

// Link is the device's cable. A condition lasts until another one is set, or until the device is
// brought back to a known state.
type Link interface {
	// Cut pulls the cable out; Restore puts it back in, and makes it sound again.
	Cut(ctx context.Context) error
	Restore(ctx context.Context) error
	// Degrade makes the link as bad as that in both directions, the zero value sound. What this bench cannot
	// do (see the instruments link/delay, link/loss, link/rate) is an error, and then nothing has changed.
	Degrade(ctx context.Context, c LinkConditions) error
}

// LinkConditions are what is wrong with a link.
type LinkConditions struct {
	Delay  time.Duration // of each frame to the device
	Jitter time.Duration // at most so much more, anew for each frame; none overtakes another
	Loss   float64       // of 100 frames in each direction
	Rate   int64         // bits per second in each direction; 0: as fast as it goes
}

// Time is what the bench tells a device that asks for the time.
type Time interface {
	// Shift makes it later than the true time by so much from now on, or earlier where negative: certificates
	// and metadata of the device expire, or are not yet valid. It lasts as a link's condition does.
	Shift(ctx context.Context, by time.Duration) error
}
