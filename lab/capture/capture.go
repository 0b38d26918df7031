// Package capture writes down every frame on the device's link: it takes the frames from the
// kernel, counts what the kernel lost, writes them as pcapng and reads them back as windows,
// payloads and lines for people. It never sends a frame, never judges one, and never calls a
// window complete over which anything was lost.
package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"assay/probes"
)

// Options say what to capture and where to write it.
type Options struct {
	Interface string           // the network interface, e.g. "br0"; must exist
	Path      string           // the pcapng file; must not exist yet, evidence is never overwritten
	MAC       net.HardwareAddr // the device's address; without it, every frame that came in counts as the device's
	RingBytes int              // the kernel's ring; 0 is 32 MiB
	SnapBytes int              // how much of a frame is kept; 0 is all. A window with a cut frame is never complete
	// A capture of days goes on in a next file when one has this size or age (0: never). Marks and windows
	// go on across files; frames are numbered on.
	RotateBytes int64
	RotateEvery time.Duration
	Filter      Filter       // hosts whose frames are left out; the zero one leaves out nobody
	About       string       // what is said of the interface in the file, e.g. what it is plugged into
	Clock       probes.Clock // stamps the marks; frames are stamped by the kernel
}

const (
	defaultRing = 32 << 20
	smallRing   = 1 << 20
	smallFile   = 1 << 20
	// settle is how long Mark lets frames that already left the device travel
	// through the kernel's receive queues before it asks what the ring holds.
	settle = 10 * time.Millisecond
	// drain bounds how long Close waits for the last open ring block.
	drain = time.Second
	// batches bounds what may wait for a slow disk. When all are in use the
	// ring fills up and the kernel counts the loss.
	batches     = 64
	maxComments = 16
	maxComment  = 1024
)

func (o Options) check() (Options, error) {
	switch {
	case o.Interface == "":
		return o, errors.New("no interface named")
	case o.Path == "":
		return o, errors.New("no file named")
	case o.Clock == nil:
		return o, errors.New("no clock given")
	case len(o.MAC) != 0 && len(o.MAC) != 6:
		return o, fmt.Errorf("device address has %d bytes, not 6", len(o.MAC))
	case o.RingBytes != 0 && o.RingBytes < smallRing:
		return o, fmt.Errorf("ring of %d bytes is too small, the least is %d", o.RingBytes, smallRing)
	case o.SnapBytes < 0 || o.SnapBytes > snapLength:
		return o, fmt.Errorf("snap length of %d bytes: give 1 to %d, or 0 for whole frames", o.SnapBytes, snapLength)
	case o.RotateBytes < 0 || o.RotateBytes > 0 && o.RotateBytes < smallFile:
		return o, fmt.Errorf("a next file after %d bytes is too soon, the least is %d", o.RotateBytes, smallFile)
	case o.RotateEvery < 0 || o.RotateEvery > 0 && o.RotateEvery < time.Second:
		return o, fmt.Errorf("a next file after %v is too soon, the least is 1s", o.RotateEvery)
	case o.Filter.check() != nil:
		return o, o.Filter.check()
	case len(o.About) > maxComment:
		return o, fmt.Errorf("description of %d bytes, the most is %d", len(o.About), maxComment)
	}
	if o.RingBytes == 0 {
		o.RingBytes = defaultRing
	}
	if o.SnapBytes == 0 {
		o.SnapBytes = snapLength
	}
	return o, nil
}

// A packet is one frame as the kernel hands it over. Its data is valid only during the call.
type packet struct {
	nanoseconds uint64 // since 1970, UTC
	data        []byte
	original    int // length on the wire; more than len(data) if it was cut
	outbound    bool
}

// A source hands over frames in the order in which the kernel took them.
type source interface {
	// read hands over what there is, or waits a while for it; io.EOF after stop.
	read(add func(packet)) error
	// statistics tells how many frames the kernel has taken for us so far, and how many it lost.
	statistics() (taken, lost uint64, err error)
	stop()
	close() error
}

// A batch is a run of encoded frames on its way to the file.
type batch struct {
	bytes   []byte
	frames  uint64
	secrets bool // there are some among the frames
}

// A place says where in which file the frames after a frame begin; offset 0 is the file's start, before its head.
type place struct {
	part   int
	frame  uint64
	offset int64
}

// A Capture is one running capture. It implements probes.Sniffer.
type Capture struct {
	name    string
	options Options
	clock   probes.Clock
	source  source
	file    *os.File

	free      chan *batch
	queue     chan *batch
	done      chan struct{} // closed once everything that will be written is written
	commented atomic.Bool   // spares the lock for most frames
	pressing  atomic.Bool   // there are secrets to write
	once      sync.Once
	closed    error

	mu        sync.Mutex  // guards what follows
	release   func() bool // forgets the context
	device    net.HardwareAddr
	senders   []net.HardwareAddr
	comments  []string
	secrets   []byte // a key log on its way to the file
	known     int    // bytes of key logs in all
	keyLog    []byte // all of them, where the capture goes on in several files
	frames    uint64 // written
	lost      uint64 // by the kernel
	losses    []Loss // when
	began     time.Time
	looked    time.Time // when the kernel was last asked what it lost
	unwritten uint64    // taken from the kernel, but the file refused them
	offset    int64
	places    []place
	parts     []volume
	settling  sync.WaitGroup // files that are left behind
	unsettled error          // what went wrong with them
	ended     bool
	refused   bool // the file takes no more
	failure   error
	changed   chan struct{} // closed and replaced whenever the above changes
}

var _ probes.Sniffer = (*Capture)(nil)

// create makes the file and writes its head.
func create(o Options) (*os.File, int64, error) {
	return createAt(o.Path, o, "")
}

func createAt(path string, o Options, comment string) (*os.File, int64, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, fmt.Errorf("create the capture file: %w", err)
	}
	head := appendInterface(appendSection(nil, comment), o.Interface, o.SnapBytes, o.About, o.Filter.String())
	if _, err := file.Write(head); err != nil {
		_ = file.Close()
		_ = os.Remove(path)
		return nil, 0, fmt.Errorf("write the capture file: %w", err)
	}
	return file, int64(len(head)), nil
}

// begin starts taking frames from a source into a file; both belong to the capture from here on.
func begin(ctx context.Context, o Options, from source, file *os.File, head int64) *Capture {
	c := &Capture{
		name: o.Interface, options: o, parts: []volume{{path: o.Path, began: o.Clock.Now()}}, clock: o.Clock, source: from, file: file,
		free: make(chan *batch, batches), queue: make(chan *batch, batches), done: make(chan struct{}),
		began: o.Clock.Now().UTC(), device: bytes.Clone(o.MAC), offset: head, places: []place{{0, 0, head}}, changed: make(chan struct{}),
	}
	c.looked = c.began
	for range batches {
		c.free <- new(batch)
	}
	go c.collect()
	go c.write()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release = context.AfterFunc(ctx, func() { _ = c.Close() })
	return c
}

// Stats tells how a capture is doing.
type Stats struct {
	Frames  uint64 `json:"frames"`  // written
	Dropped uint64 `json:"dropped"` // lost by the kernel, or refused by the file
	Running bool   `json:"running"`
	Err     string `json:"error,omitempty"` // why it stopped by itself
}

// Stats tells how the capture is doing.
func (c *Capture) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Stats{Frames: c.frames, Dropped: c.lost + c.unwritten, Running: !c.ended}
	if c.failure != nil {
		s.Err = c.failure.Error()
	}
	return s
}

// SetDevice tells the device's address once it is known.
func (c *Capture) SetDevice(mac net.HardwareAddr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.device = bytes.Clone(mac)
}

// Comment attaches a text to the next frame written; the last texts of a capture go into its
// closing statistics. Texts are kept short, and no more than a few wait at a time.
func (c *Capture) Comment(text string) {
	if len(text) > maxComment {
		text = text[:maxComment]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.comments) < maxComments {
		c.comments = append(c.comments, text)
		c.commented.Store(true)
	}
}

func (c *Capture) takeComments() []string {
	if !c.commented.Load() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	texts := c.comments
	c.comments = nil
	c.commented.Store(false)
	return texts
}

// collect moves frames from the source into batches, without ever waiting for the disk
// while a batch is free.
func (c *Capture) collect() {
	defer close(c.queue)
	var told uint64 // losses written down so far
	var written uint64
	var last uint64 // the newest frame's time
	heard := map[[6]byte]bool{}
	for {
		b := <-c.free
		b.bytes, b.frames, b.secrets = b.bytes[:0], 0, false
		err := c.source.read(func(p packet) {
			p.data = p.data[:min(len(p.data), c.options.SnapBytes)]
			b.bytes = appendPacket(b.bytes, p, c.takeComments())
			b.frames++
			last = p.nanoseconds
			c.hear(heard, p)
		})
		written += b.frames
		if keyLog := c.takeSecrets(); keyLog != nil {
			b.bytes, b.secrets = appendSecrets(b.bytes, keyLog), true
		}
		// A loss goes into the file at once, so that a killed run still tells of it.
		if lost := c.count(); lost > told {
			b.bytes = appendStatistics(b.bytes, statistics{nanoseconds: last, written: written, lost: lost}, nil)
			told = lost
		}
		c.queue <- b
		if err != nil {
			c.end(err)
			return
		}
		c.mu.Lock()
		failed := c.failure != nil
		c.mu.Unlock()
		if failed {
			return
		}
	}
}

// count reads the kernel's counters often enough that they never wrap (they have 32 bits).
func (c *Capture) count() uint64 {
	_, lost, err := c.source.statistics()
	if err != nil {
		c.end(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.lose(lost)
	}
	return c.lost
}

// end notes why the capture stopped. io.EOF is the ordinary end.
func (c *Capture) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !errors.Is(err, io.EOF) && c.failure == nil {
		c.failure = fmt.Errorf("capture on %s: %w", c.name, err)
	}
	c.ended = true
	c.tell()
}

// tell wakes everybody who waits for a change. The mutex is held.
func (c *Capture) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}
