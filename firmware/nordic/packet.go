package nordic

import (
	"encoding/binary"
	"fmt"

	"assay/firmware/format"
)

// A packet is an init packet: dfu-cc.proto of the nRF5 SDK, written in protocol buffers.
// Packet{1 Command, 2 SignedCommand{1 Command, 2 type, 3 signature}}, Command{1 operation, 2 InitCommand}.
type packet struct {
	signed    bool
	command   []byte // serialized Command: what is signed
	algorithm uint64 // of the signature
	signature []byte
	init      initCommand
}

type initCommand struct {
	version, hardware uint64
	softdevices       []uint64 // versions that must be there, any of them
	kind              uint64
	sdSize, blSize    uint64
	appSize           uint64
	hashType          uint64
	hash              []byte // stored with its last byte first
	debug             bool
	validations       int
	unknown           int
	seen              [10]bool // which of the fields 1 to 9 are there
}

// Numbers of dfu-cc.proto.
const (
	operationInit = 1

	signatureECDSA = 0 // ECDSA_P256_SHA256
	hashSHA256     = 3

	wireVarint = 0
	wireBytes  = 2
)

func parsePacket(b []byte) (packet, error) {
	var p packet
	var plain []byte
	err := fields(b, func(f field) error {
		switch {
		case f.number == 1 && f.wire == wireBytes && plain == nil:
			plain = f.bytes
			return nil
		case f.number == 2 && f.wire == wireBytes && !p.signed:
			p.signed = true
			return p.readSigned(f.bytes)
		}
		return f.unexpected("packet")
	})
	if err != nil {
		return packet{}, err
	}
	if p.signed == (plain != nil) {
		return packet{}, format.Malformed("the packet holds a signed and a plain command, or neither")
	}
	if plain != nil {
		p.command = plain
	}
	p.init, err = parseCommand(p.command)
	return p, err
}

func (p *packet) readSigned(b []byte) error {
	var algorithm bool
	err := fields(b, func(f field) error {
		switch {
		case f.number == 1 && f.wire == wireBytes && p.command == nil:
			p.command = f.bytes
		case f.number == 2 && f.wire == wireVarint && !algorithm:
			p.algorithm, algorithm = f.value, true
		case f.number == 3 && f.wire == wireBytes && p.signature == nil:
			p.signature = f.bytes
		default:
			return f.unexpected("signed command")
		}
		return nil
	})
	if err == nil && (p.command == nil || !algorithm || p.signature == nil) {
		return format.Malformed("signed command without command, type or signature")
	}
	return err
}

func parseCommand(b []byte) (initCommand, error) {
	var operation uint64
	var init []byte
	err := fields(b, func(f field) error {
		switch {
		case f.number == 1 && f.wire == wireVarint && operation == 0:
			operation = f.value
		case f.number == 2 && f.wire == wireBytes && init == nil:
			init = f.bytes
		default:
			return f.unexpected("command")
		}
		return nil
	})
	if err != nil {
		return initCommand{}, err
	}
	if operation != operationInit || init == nil {
		return initCommand{}, format.Malformed("command of operation %d is no init command", operation)
	}
	var c initCommand
	return c, fields(init, c.take)
}

// take reads one field of the init command. A number that this does not know is covered by the
// signature and left to the device.
func (c *initCommand) take(f field) error {
	number := map[uint64]*uint64{1: &c.version, 2: &c.hardware, 4: &c.kind, 5: &c.sdSize, 6: &c.blSize, 7: &c.appSize}
	switch f.number {
	case 1, 2, 4, 5, 6, 7, 8, 9:
		wire := uint64(wireVarint)
		if f.number == 8 {
			wire = wireBytes
		}
		if c.seen[f.number] || f.wire != wire {
			return f.unexpected("init command")
		}
		c.seen[f.number] = true
		if f.number == 8 {
			return c.takeHash(f.bytes)
		}
		if f.number == 9 {
			c.debug = f.value != 0
			return nil
		}
		*number[f.number] = f.value
		return nil
	case 3:
		return c.takeSoftdevices(f)
	case 10:
		if f.wire != wireBytes || c.validations == 8 {
			return f.unexpected("init command")
		}
		c.validations++
		return nil
	}
	c.unknown++
	return nil
}

// takeSoftdevices reads packed numbers, or one by one.
func (c *initCommand) takeSoftdevices(f field) error {
	if len(c.softdevices) >= 16 {
		return format.Malformed("too many SoftDevice versions")
	}
	if f.wire == wireVarint {
		c.softdevices = append(c.softdevices, f.value)
		return nil
	}
	for b := f.bytes; len(b) > 0; {
		v, n := binary.Uvarint(b)
		if n <= 0 || len(c.softdevices) >= 16 {
			return format.Malformed("SoftDevice versions are not numbers")
		}
		c.softdevices, b = append(c.softdevices, v), b[n:]
	}
	return nil
}

func (c *initCommand) takeHash(b []byte) error {
	var kind bool
	return fields(b, func(f field) error {
		switch {
		case f.number == 1 && f.wire == wireVarint && !kind:
			c.hashType, kind = f.value, true
		case f.number == 2 && f.wire == wireBytes && c.hash == nil:
			c.hash = f.bytes
		default:
			return f.unexpected("hash")
		}
		return nil
	})
}

// A field is one field of a protocol buffers message.
type field struct {
	number, wire uint64
	value        uint64
	bytes        []byte
}

func (f field) unexpected(where string) error {
	return format.Malformed("field %d of wire type %d is unknown, or twice, in a %s", f.number, f.wire, where)
}

// fields visits the fields of a message; only the two wire types that dfu-cc.proto uses are read.
func fields(b []byte, visit func(field) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 {
			return format.Malformed("protocol buffers key")
		}
		b = b[n:]
		f := field{number: key >> 3, wire: key & 7}
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return format.Malformed("protocol buffers number")
		}
		b = b[n:]
		switch f.wire {
		case wireVarint:
			f.value = v
		case wireBytes:
			if v > uint64(len(b)) {
				return format.Malformed("protocol buffers field of %d bytes, %d are left", v, len(b))
			}
			f.bytes, b = b[:v:v], b[v:]
		default:
			return format.Malformed("protocol buffers wire type %d", f.wire)
		}
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func kindName(k uint64) string {
	if k < 5 {
		return []string{"application", "softdevice", "bootloader", "softdevice_bootloader", "external_application"}[k]
	}
	return fmt.Sprint(k)
}

func hashTypeName(h uint64) string {
	if h < 5 {
		return []string{"none", "crc", "sha128", "sha256", "sha512"}[h]
	}
	return fmt.Sprint(h)
}
