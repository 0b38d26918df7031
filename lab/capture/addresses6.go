package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"

	"assay/lab/capture/wire"
	"assay/probes"
)

// maxAddresses6 bounds how many IPv6 addresses of a device are told; one that uses more is hiding.
const maxAddresses6 = 64

// Addresses6 tells the IPv6 addresses that a hardware address has used so far: those it sent from, and those it has
// asked for, whether somebody has them already (RFC 4862, section 5.4), which every host does before it uses one.
func (c *Capture) Addresses6(ctx context.Context, device net.HardwareAddr) ([]netip.Addr, error) {
	c.mu.Lock()
	written, parts := c.frames, slices.Clone(c.parts)
	c.mu.Unlock()
	if written == 0 {
		return nil, nil
	}
	var out []netip.Addr
	err := span(parts, place{}, 1, written, func(f Frame) bool {
		if a := address6(f, device); a.IsValid() && len(out) < maxAddresses6 && !slices.Contains(out, a) {
			out = append(out, a)
		}
		return ctx.Err() == nil
	})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("look for IPv6 addresses in the capture: %w", ctx.Err())
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrCut) {
		return nil, fmt.Errorf("look for IPv6 addresses in the capture: %w: %w", probes.ErrBench, err)
	}
	return out, nil
}

// address6 is the address that a frame of the device speaks of as its own.
func address6(f Frame, device net.HardwareAddr) (none netip.Addr) {
	var p wire.Packet
	if f.Link != wire.LinkEthernet || len(f.Data) < 14 || !bytes.Equal(f.Data[6:12], device) {
		return none
	}
	if p.Parse(f.Link, f.Data); p.Ether != wire.EtherIPv6 || !p.From.IsValid() {
		return none
	}
	if !p.From.IsUnspecified() {
		return p.From
	}
	// A neighbour solicitation (RFC 4861, section 4.3) from nobody: the target is what the host would like to have.
	if p.Proto == wire.ProtoICMP6 && len(p.Payload) >= 24 && p.Payload[0] == 135 {
		return netip.AddrFrom16([16]byte(p.Payload[8:24]))
	}
	return none
}
