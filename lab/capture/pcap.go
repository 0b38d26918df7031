package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// classicHead reads the head of the older pcap (draft-ietf-opsawg-pcap, section 4).
func (r *Reader) classicHead() error {
	start, err := r.in.Peek(4)
	if err != nil {
		return cut(err)
	}
	switch magic := order.Uint32(start); magic {
	case 0xA1B2C3D4, 0xA1B23C4D:
		r.order, r.nano = binary.LittleEndian, magic == 0xA1B23C4D
	case 0xD4C3B2A1, 0x4D3CB2A1:
		r.order, r.nano = binary.BigEndian, magic == 0x4D3CB2A1
	default:
		return fmt.Errorf("%#08x is neither pcapng nor pcap", magic)
	}
	head := make([]byte, 24)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return cut(err)
	}
	r.classic, r.offset = true, int64(len(head))
	// The upper half of the link type holds flags of the frame check sequence.
	r.links = []link{{kind: int(r.order.Uint32(head[20:]) & 0xffff)}}
	r.about.format = "pcap"
	if r.nano {
		r.about.format = "pcap, nanoseconds"
	}
	r.about.interfaces(Interface{Link: r.links[0].kind, Snap: r.order.Uint32(head[16:])})
	return nil
}

func (r *Reader) classicFrame() (Frame, error) {
	var head [16]byte
	if n, err := io.ReadFull(r.in, head[:]); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return Frame{}, io.EOF
		}
		return Frame{}, r.fault(cut(err))
	}
	r.offset += int64(len(head))
	captured, fraction := r.order.Uint32(head[8:]), int64(r.order.Uint32(head[4:]))
	if captured > maxBlock {
		return Frame{}, r.fault(fmt.Errorf("packet of %d bytes", captured))
	}
	if !r.nano {
		fraction *= 1000
	}
	if err := r.fill(int(captured)); err != nil {
		return Frame{}, r.fault(err)
	}
	return r.numbered(Frame{
		At: time.Unix(int64(r.order.Uint32(head[:])), fraction).UTC(), Data: r.block,
		Original: int(r.order.Uint32(head[12:])), Link: r.links[0].kind,
	}, nil)
}

func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCut
	}
	return err
}
