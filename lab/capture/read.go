package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"
)

const (
	maxBlock      = 16 << 20 // larger than any honest block
	maxInterfaces = 1024
	lastSecond    = 253402300800 // the year 10000, which JSON cannot write
)

// ErrCut says that a capture ends in the middle of a block, as one being written or one of a killed run may.
var ErrCut = errors.New("the capture ends in the middle of a block")

// A Frame is one frame of a capture file. Its data is valid until the next is read.
type Frame struct {
	Number    uint64 // from 1, as Wireshark counts
	At        time.Time
	Data      []byte
	Original  int      // its length on the wire
	Link      int      // the link type; 1 is Ethernet
	Interface int      // its place among Interfaces
	Comments  []string // in the order of the file
	Inbound   bool     // the file says that it came in
	Outbound  bool     // the file says that it went out
}

// A Reader reads pcapng (draft-ietf-opsawg-pcapng) and the older pcap strictly and block by
// block. It knows what it needs and steps over the rest.
type Reader struct {
	in      *bufio.Reader
	order   binary.ByteOrder
	classic bool
	nano    bool   // classic: nanoseconds, not microseconds
	links   []link // of this section
	number  uint64
	offset  int64 // bytes read
	block   []byte
	about   about
}

// A link is an interface of the file.
type link struct {
	kind   int
	snap   uint32
	units  uint64 // ticks per second
	offset int64  // seconds
	place  int    // among all interfaces of the file
}

// NewReader reads a capture's head.
func NewReader(in io.Reader) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 256<<10)}
	if err := r.head(); err != nil {
		if errors.Is(err, ErrCut) {
			err = errors.New("the file ends within it") // not a capture that was cut: none at all
		}
		return nil, fmt.Errorf("read the capture's head: %w", err)
	}
	return r, nil
}

func (r *Reader) head() error {
	magic, err := r.in.Peek(4)
	if err != nil {
		return cut(err)
	}
	if order.Uint32(magic) == blockSection {
		return r.section()
	}
	return r.classicHead()
}

// Next returns the next frame, io.EOF after the last, ErrCut where the file breaks off.
func (r *Reader) Next() (Frame, error) {
	if r.classic {
		return r.classicFrame()
	}
	for {
		kind, body, err := r.nextBlock()
		if err != nil {
			return Frame{}, err
		}
		switch kind {
		case blockInterface:
			err = r.addLink(body)
		case blockPacket:
			return r.numbered(r.enhanced(body))
		case blockSimple:
			return r.numbered(r.simple(body))
		case blockObsolete:
			return r.numbered(r.obsolete(body))
		case blockStatistics:
			err = r.counts(body)
		case blockSecrets:
			r.about.secrets++
		}
		if err != nil {
			return Frame{}, r.fault(err)
		}
	}
}

func (r *Reader) numbered(f Frame, err error) (Frame, error) {
	if err != nil {
		return Frame{}, r.fault(err)
	}
	r.number++
	f.Number = r.number
	return f, nil
}

func (r *Reader) fault(err error) error {
	return fmt.Errorf("read the capture after frame %d, at byte %d: %w", r.number, r.offset, err)
}

// nextBlock reads the next block's body, entering new sections on the way.
func (r *Reader) nextBlock() (uint32, []byte, error) {
	for {
		start, err := r.in.Peek(8)
		if errors.Is(err, io.EOF) && len(start) == 0 {
			return 0, nil, io.EOF
		}
		if err != nil {
			return 0, nil, r.fault(cut(err))
		}
		if order.Uint32(start) == blockSection { // reads the same in both byte orders
			if err := r.section(); err != nil {
				return 0, nil, r.fault(err)
			}
			continue
		}
		kind := r.order.Uint32(start)
		body, err := r.body(r.order.Uint32(start[4:]))
		if err != nil {
			return 0, nil, r.fault(err)
		}
		return kind, body, nil
	}
}

// body reads a block whose length is known and returns what is between its two lengths.
func (r *Reader) body(length uint32) ([]byte, error) {
	if length < 12 || length%4 != 0 || length > maxBlock {
		return nil, fmt.Errorf("block of %d bytes", length)
	}
	if err := r.fill(int(length)); err != nil {
		return nil, err
	}
	if again := r.order.Uint32(r.block[length-4:]); again != length {
		return nil, fmt.Errorf("block of %d bytes ends as one of %d", length, again)
	}
	return r.block[8 : length-4], nil
}

// fill reads n bytes, growing as they come, so that a short file cannot ask for much memory.
func (r *Reader) fill(n int) error {
	r.block = r.block[:0]
	for have := 0; have < n; have = len(r.block) {
		r.block = append(r.block, make([]byte, min(n-have, 1<<20))...)
		if _, err := io.ReadFull(r.in, r.block[have:]); err != nil {
			return cut(err)
		}
	}
	r.offset += int64(n)
	return nil
}

// section reads a section header; interfaces start over with each.
func (r *Reader) section() error {
	start, err := r.in.Peek(12)
	if err != nil {
		return cut(err)
	}
	switch {
	case order.Uint32(start[8:]) == byteOrder:
		r.order = binary.LittleEndian
	case binary.BigEndian.Uint32(start[8:]) == byteOrder:
		r.order = binary.BigEndian
	default:
		return errors.New("section without a byte order")
	}
	body, err := r.body(r.order.Uint32(start[4:]))
	if err != nil {
		return err
	}
	if len(body) < 16 {
		return errors.New("short section header")
	}
	if major := r.order.Uint16(body[4:]); major != 1 {
		return fmt.Errorf("pcapng version %d", major)
	}
	r.links = r.links[:0]
	return r.aboutSection(body[16:])
}

func (r *Reader) addLink(body []byte) error {
	if len(body) < 8 {
		return errors.New("short interface description")
	}
	if len(r.links) == maxInterfaces {
		return fmt.Errorf("more than %d interfaces", maxInterfaces)
	}
	l := link{kind: int(r.order.Uint16(body)), snap: r.order.Uint32(body[4:]), units: 1e6}
	known := Interface{Link: l.kind, Snap: l.snap}
	err := r.options(body[8:], func(code int, value []byte) error {
		switch {
		case code == optTsResol && len(value) == 1:
			return l.resolve(value[0])
		case code == optTsOffset && len(value) == 8:
			l.offset = int64(r.order.Uint64(value))
		default:
			known.option(code, value)
		}
		return nil
	})
	l.place = r.about.interfaces(known)
	r.links = append(r.links, l)
	return err
}

// resolve reads if_tsresol: a power of ten, or of two if the top bit is set.
func (l *link) resolve(value byte) error {
	exponent := int(value & 0x7f)
	if value&0x80 != 0 {
		if exponent > 63 {
			return fmt.Errorf("time in units of 2^-%d s", exponent)
		}
		l.units = 1 << exponent
		return nil
	}
	if exponent > 19 {
		return fmt.Errorf("time in units of 10^-%d s", exponent)
	}
	l.units = 1
	for range exponent {
		l.units *= 10
	}
	return nil
}

func (l *link) time(ticks uint64) time.Time {
	high, low := bits.Mul64(ticks%l.units, 1e9)
	nanoseconds, _ := bits.Div64(high, low, l.units) // the rest is below units, so the quotient is below 1e9
	seconds := int64(ticks/l.units) + l.offset
	if seconds < 0 || seconds >= lastSecond {
		return time.Time{}
	}
	return time.Unix(seconds, int64(nanoseconds)).UTC()
}

// options walks a block's options; a list that just stops is allowed by section 3.5.
func (r *Reader) options(list []byte, each func(code int, value []byte) error) error {
	for len(list) > 0 {
		if len(list) < 4 {
			return errors.New("option cut short")
		}
		code, length := int(r.order.Uint16(list)), int(r.order.Uint16(list[2:]))
		if code == optEnd {
			return nil
		}
		end := 4 + length
		if padded := (end + 3) &^ 3; padded <= len(list) {
			if err := each(code, list[4:end]); err != nil {
				return err
			}
			list = list[padded:]
			continue
		}
		return fmt.Errorf("option %d of %d bytes leaves its block", code, length)
	}
	return nil
}

func (r *Reader) enhanced(body []byte) (Frame, error) {
	if len(body) < 20 {
		return Frame{}, errors.New("short packet block")
	}
	id := r.order.Uint32(body)
	if uint64(id) >= uint64(len(r.links)) {
		return Frame{}, fmt.Errorf("packet of interface %d of %d", id, len(r.links))
	}
	l := &r.links[id]
	return r.packet(body, l)
}

// packet reads what the two packet blocks with a time have in common.
func (r *Reader) packet(body []byte, l *link) (Frame, error) {
	captured := r.order.Uint32(body[12:])
	if uint64(captured) > uint64(len(body)-20) {
		return Frame{}, fmt.Errorf("packet of %d bytes in a block of %d", captured, len(body))
	}
	f := Frame{
		At:   l.time(uint64(r.order.Uint32(body[4:]))<<32 | uint64(r.order.Uint32(body[8:]))),
		Data: body[20 : 20+captured], Original: int(r.order.Uint32(body[16:])), Link: l.kind, Interface: l.place,
	}
	err := r.options(body[min(len(body), 20+(int(captured)+3)&^3):], func(code int, value []byte) error {
		switch {
		case code == optComment && len(f.Comments) < maxComments:
			f.Comments = append(f.Comments, string(value[:min(len(value), maxComment)]))
		case code == optFlags && len(value) == 4:
			f.Inbound, f.Outbound = r.order.Uint32(value)&3 == flagInbound, r.order.Uint32(value)&3 == flagOutbound
		}
		return nil
	})
	return f, err
}

// obsolete reads a Packet Block, which older programs wrote: as the enhanced one, with a short
// interface number and a drop count.
func (r *Reader) obsolete(body []byte) (Frame, error) {
	if len(body) < 20 {
		return Frame{}, errors.New("short packet block")
	}
	id := int(r.order.Uint16(body))
	if id >= len(r.links) {
		return Frame{}, fmt.Errorf("packet of interface %d of %d", id, len(r.links))
	}
	if lost := r.order.Uint16(body[2:]); lost != 0xffff {
		r.about.list[r.links[id].place].Dropped += uint64(lost)
	}
	return r.packet(body, &r.links[id])
}

// simple reads a Simple Packet Block: the first interface, no time.
func (r *Reader) simple(body []byte) (Frame, error) {
	if len(body) < 4 || len(r.links) == 0 {
		return Frame{}, errors.New("simple packet block without length or interface")
	}
	original := r.order.Uint32(body)
	captured := uint64(original)
	if snap := uint64(r.links[0].snap); snap != 0 {
		captured = min(captured, snap)
	}
	if captured > uint64(len(body)-4) {
		return Frame{}, fmt.Errorf("packet of %d bytes in a block of %d", captured, len(body))
	}
	return Frame{Data: body[4 : 4+captured], Original: int(original), Link: r.links[0].kind, Interface: r.links[0].place}, nil
}
