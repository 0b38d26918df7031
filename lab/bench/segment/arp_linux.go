package segment

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	arpFrame   = 42 // Ethernet header and an ARP packet for IPv4 (RFC 826)
	arpRequest = 1
	arpReply   = 2
	arpPatient = 50 * time.Millisecond
	arpMost    = 16 // owners of one address that are told apart
)

// WhoHas asks everybody on an interface who has an address, as somebody without an address of his own does (RFC
// 5227, an ARP probe), and lists who said so within wait.
func WhoHas(ctx context.Context, name string, address netip.Addr, wait time.Duration) ([]net.HardwareAddr, error) {
	if !address.Is4() {
		return nil, refused("arp", fmt.Errorf("%s is not an IPv4 address", address))
	}
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, refused("find "+name, err)
	}
	if len(link.HardwareAddr) != 6 {
		return nil, nil // no Ethernet, no ARP
	}
	const protocol = unix.ETH_P_ARP<<8&0xff00 | unix.ETH_P_ARP>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, refused("packet socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	patience := unix.NsecToTimeval(int64(arpPatient))
	to := &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index, Halen: 6, Addr: [8]byte{255, 255, 255, 255, 255, 255}}
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index})); err != nil {
		return nil, refused("packet socket", err)
	}
	if err := unix.Sendto(fd, arpProbe(link.HardwareAddr, address), 0, to); err != nil {
		return nil, refused("ask who has "+address.String(), err)
	}
	var found []net.HardwareAddr
	frame := make([]byte, 128)
	// Each turn takes no longer than the socket's own patience, unless frames pour in.
	for until := time.Now().Add(wait); time.Now().Before(until) && ctx.Err() == nil && len(found) < arpMost; {
		n, _, err := unix.Recvfrom(fd, frame, 0)
		if err != nil {
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
				continue
			}
			return found, refused("hear who has "+address.String(), err)
		}
		if owner := arpOwner(frame[:n], address); owner != nil && !bytes.Equal(owner, link.HardwareAddr) && !knows(found, owner) {
			found = append(found, owner)
		}
	}
	return found, ctx.Err()
}

func knows(all []net.HardwareAddr, one net.HardwareAddr) bool {
	for _, a := range all {
		if bytes.Equal(a, one) {
			return true
		}
	}
	return false
}

func arpProbe(from net.HardwareAddr, address netip.Addr) []byte {
	b := make([]byte, arpFrame)
	copy(b, bytes.Repeat([]byte{255}, 6))
	copy(b[6:], from)
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_ARP)
	copy(b[14:], []byte{0, 1, 8, 0, 6, 4, 0, arpRequest})
	copy(b[22:], from)
	copy(b[38:], address.AsSlice())
	return b
}

// arpOwner is who says in a frame that he has an address; nil: nobody.
func arpOwner(b []byte, address netip.Addr) net.HardwareAddr {
	if len(b) < arpFrame || binary.BigEndian.Uint16(b[12:]) != unix.ETH_P_ARP || !bytes.Equal(b[14:22], []byte{0, 1, 8, 0, 6, 4, 0, arpReply}) {
		return nil
	}
	if !bytes.Equal(b[28:32], address.AsSlice()) {
		return nil
	}
	return bytes.Clone(b[22:28])
}
