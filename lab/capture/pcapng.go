package capture

import (
	"encoding/binary"
	"runtime"

	"assay/lab/capture/wire"
)

// The numbers of pcapng: draft-ietf-opsawg-pcapng, sections 3.5 (options), 4.1 to 4.6 (blocks).
const (
	blockSection    = 0x0A0D0D0A
	blockInterface  = 1
	blockObsolete   = 2 // Packet Block
	blockSimple     = 3
	blockStatistics = 5
	blockPacket     = 6
	blockSecrets    = 10
	byteOrder       = 0x1A2B3C4D

	optEnd       = 0
	optComment   = 1
	optHardware  = 2 // section
	optOS        = 3 // section
	optUser      = 4 // section: the application
	optName      = 2 // interface ...
	optAbout     = 3
	optTsResol   = 9
	optFilter    = 11
	optTsOffset  = 14
	optFlags     = 2 // packet
	optIfRecv    = 4 // statistics ...
	optIfDrop    = 5
	optOSDrop    = 7
	optDelivered = 8

	flagInbound  = 1
	flagOutbound = 2

	// snapLength is what tcpdump promises too: more than any frame, segmentation offload included.
	snapLength = 262144
)

var order = binary.LittleEndian

func appendOption(to []byte, code int, value []byte) []byte {
	to = order.AppendUint16(to, uint16(code))
	to = order.AppendUint16(to, uint16(len(value)))
	return pad(append(to, value...), len(value))
}

func appendCount(to []byte, code int, n uint64) []byte {
	return appendOption(to, code, order.AppendUint64(nil, n))
}

// pad fills up to the next 32 bit boundary after n bytes.
func pad(to []byte, n int) []byte {
	return append(to, "\x00\x00\x00"[:(4-n%4)%4]...)
}

// open begins a block at the end of to; seal fills in its two lengths.
func open(to []byte, kind uint32) []byte {
	return order.AppendUint32(order.AppendUint32(to, kind), 0)
}

func seal(to []byte, start int) []byte {
	length := uint32(len(to) - start + 4)
	order.PutUint32(to[start+4:], length)
	return order.AppendUint32(to, length)
}

func appendSection(to []byte, comment string) []byte {
	start := len(to)
	to = order.AppendUint32(open(to, blockSection), byteOrder)
	to = order.AppendUint16(to, 1)
	to = order.AppendUint16(to, 0)
	to = order.AppendUint64(to, 1<<64-1) // length unknown: the file may be cut any time
	to = appendOption(to, optHardware, []byte(runtime.GOARCH))
	to = appendOption(to, optOS, []byte(runtime.GOOS))
	to = appendOption(to, optUser, []byte("assay"))
	if comment != "" {
		to = appendOption(to, optComment, []byte(comment))
	}
	return seal(appendOption(to, optEnd, nil), start)
}

func appendInterface(to []byte, name string, snap int, about, filter string) []byte {
	start := len(to)
	to = order.AppendUint16(open(to, blockInterface), wire.LinkEthernet)
	to = order.AppendUint16(to, 0)
	to = order.AppendUint32(to, uint32(snap))
	to = appendOption(to, optName, []byte(name))
	if about != "" {
		to = appendOption(to, optAbout, []byte(about))
	}
	to = appendOption(to, optTsResol, []byte{9}) // 10^-9 s
	if filter != "" {
		to = appendOption(to, optFilter, append([]byte{0}, filter...)) // 0: as a text
	}
	return seal(appendOption(to, optEnd, nil), start)
}

// appendPacket writes an Enhanced Packet Block of interface 0.
func appendPacket(to []byte, p packet, comments []string) []byte {
	start := len(to)
	to = order.AppendUint32(open(to, blockPacket), 0)
	to = appendTime(to, p.nanoseconds)
	to = order.AppendUint32(to, uint32(len(p.data)))
	to = order.AppendUint32(to, uint32(p.original))
	to = pad(append(to, p.data...), len(p.data))
	direction := byte(flagInbound)
	if p.outbound {
		direction = flagOutbound
	}
	to = appendOption(to, optFlags, []byte{direction, 0, 0, 0})
	for _, text := range comments {
		to = appendOption(to, optComment, []byte(text))
	}
	return seal(appendOption(to, optEnd, nil), start)
}

// secretsTLS says that a Decryption Secrets Block holds a TLS key log (section 4.7), in the format of NSS.
const secretsTLS = 0x544c534b

func appendSecrets(to []byte, keyLog []byte) []byte {
	start := len(to)
	to = order.AppendUint32(open(to, blockSecrets), secretsTLS)
	to = order.AppendUint32(to, uint32(len(keyLog)))
	return seal(pad(append(to, keyLog...), len(keyLog)), start)
}

// statistics are what an Interface Statistics Block tells.
type statistics struct {
	nanoseconds uint64
	written     uint64
	unwritten   uint64
	lost        uint64
}

func appendStatistics(to []byte, s statistics, comments []string) []byte {
	start := len(to)
	to = order.AppendUint32(open(to, blockStatistics), 0)
	to = appendTime(to, s.nanoseconds)
	to = appendCount(to, optIfRecv, s.written+s.unwritten+s.lost)
	// The loss is the operating system's. Wireshark shows only the other counter, and
	// dumpcap puts the same number there.
	to = appendCount(to, optIfDrop, s.lost)
	to = appendCount(to, optOSDrop, s.lost)
	to = appendCount(to, optDelivered, s.written)
	for _, text := range comments {
		to = appendOption(to, optComment, []byte(text))
	}
	return seal(appendOption(to, optEnd, nil), start)
}

// appendTime writes the high half first, whatever the byte order (section 4.3).
func appendTime(to []byte, nanoseconds uint64) []byte {
	to = order.AppendUint32(to, uint32(nanoseconds>>32))
	return order.AppendUint32(to, uint32(nanoseconds))
}
