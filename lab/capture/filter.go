package capture

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/net/bpf"
)

// maxWithout bounds the hosts that a filter leaves out: its jumps reach 255 instructions.
const maxWithout = 32

// A Filter leaves frames of other hosts out of a capture, by their hardware addresses. It is no way to leave out
// anything of the device: a frame that names it at either end is kept, whoever stands at the other.
type Filter struct {
	Without []net.HardwareAddr // hosts whose frames are not taken
	Keep    []net.HardwareAddr // the units under test; none may be in Without
}

func (f Filter) empty() bool { return len(f.Without) == 0 }

func (f Filter) check() error {
	switch {
	case f.empty():
		return nil
	case len(f.Without) > maxWithout:
		return fmt.Errorf("filter: %d hosts, the most is %d", len(f.Without), maxWithout)
	case len(f.Keep) == 0:
		return errors.New("filter: the device's address is not known, so its own frames could be left out")
	case len(f.Keep) > maxWithout:
		return fmt.Errorf("filter: %d units, the most is %d", len(f.Keep), maxWithout)
	}
	for _, w := range append(append([]net.HardwareAddr(nil), f.Without...), f.Keep...) {
		if len(w) != 6 || w[0]&1 != 0 {
			return fmt.Errorf("filter: %s is no host's hardware address", w)
		}
	}
	for _, w := range f.Without {
		for _, k := range f.Keep {
			if bytes.Equal(w, k) {
				return fmt.Errorf("filter: %s is a unit under test: its frames cannot be left out", w)
			}
		}
	}
	return nil
}

// String is the filter as libpcap would write it.
func (f Filter) String() string {
	list := func(all []net.HardwareAddr) string {
		var out []string
		for _, a := range all {
			out = append(out, "ether host "+a.String())
		}
		return strings.Join(out, " or ")
	}
	if f.empty() {
		return ""
	}
	return list(f.Keep) + " or not (" + list(f.Without) + ")"
}

// Ethernet's addresses (IEEE 802.3, section 3.1.1).
const (
	destinationAt = 0
	sourceAt      = 6
)

// program is the filter in the kernel's byte code: to each address that is compared belongs a pair of words, and
// the first pair that fits decides.
func (f Filter) program() ([]bpf.RawInstruction, error) {
	if f.empty() {
		return nil, nil
	}
	var out []bpf.Instruction
	decide := func(all []net.HardwareAddr, bytes uint32) {
		for _, at := range []uint32{sourceAt, destinationAt} {
			for _, a := range all {
				high := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
				out = append(out,
					bpf.LoadAbsolute{Off: at, Size: 4}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: high, SkipTrue: 3},
					bpf.LoadAbsolute{Off: at + 4, Size: 2}, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(a[4])<<8 | uint32(a[5]), SkipTrue: 1},
					bpf.RetConstant{Val: bytes})
			}
		}
	}
	decide(f.Keep, snapLength)
	decide(f.Without, 0)
	return bpf.Assemble(append(out, bpf.RetConstant{Val: snapLength}))
}
