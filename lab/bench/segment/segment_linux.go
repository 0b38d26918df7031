package segment

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Segment is a bridge with one cable in the namespaces of this process.
type Segment struct {
	interfaces []Interface
	notes      []string
	plugged    []string // cables beside the first one
}

// Up makes the segment: private mounts, loopback, bridge with the bench's address, the device's
// cable plugged in on the bench's side. It refuses a network namespace in which anything is up
// already: that one belongs to somebody.
func Up(ctx context.Context, o Options) (*Segment, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := unused(); err != nil {
		return nil, err
	}
	s := &Segment{}
	if err := s.mounts(o); err != nil {
		return nil, err
	}
	if err := s.links(o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// unused refuses a namespace with an interface that is up: nothing is up in a new one.
func unused() error {
	all, err := net.Interfaces()
	if err != nil {
		return refused("list interfaces", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 {
			return refused("network namespace", fmt.Errorf("interface %s is up: this is not a namespace of our own", i.Name))
		}
	}
	return nil
}

// mounts hides the host. What cannot be mounted costs no frame, so it is noted, not fatal: in some
// containers a new sysfs is refused because parts of the present one are covered.
func (s *Segment) mounts(o Options) error {
	// Without this a mount made by root would appear on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return refused("private mounts", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		s.notes = append(s.notes, "no fresh sysfs ("+err.Error()+"): /sys/class/net shows the host's interfaces")
	}
	resolv := filepath.Join(o.Dir, "resolv.conf")
	err := os.WriteFile(resolv, []byte("nameserver "+o.Address.Addr().String()+"\n"), 0o644) //nolint:gosec // no secret
	if err == nil {
		err = unix.Mount(resolv, "/etc/resolv.conf", "", unix.MS_BIND, "")
	}
	_ = os.Remove(resolv) // the mount keeps it
	if err != nil {
		s.notes = append(s.notes, "no resolv.conf of our own ("+err.Error()+"): the bench resolves names as the host does")
	}
	return nil
}

func (s *Segment) links(o Options) error {
	mac, err := net.ParseMAC(o.MAC)
	if err != nil {
		return refused("device address", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return refused("find loopback", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return refused("set loopback up", err)
	}
	bridge := &netlink.Bridge{LinkAttrs: named(Bridge)}
	if err := netlink.LinkAdd(bridge); err != nil {
		return refused("add bridge", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{
		IP: o.Address.Addr().AsSlice(), Mask: net.CIDRMask(o.Address.Bits(), o.Address.Addr().BitLen()),
	}}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return refused("give the bridge its address", err)
	}
	veth := &netlink.Veth{LinkAttrs: named(BenchEnd), PeerName: UnitEnd, PeerHardwareAddr: mac}
	if err := netlink.LinkAdd(veth); err != nil {
		return refused("add veth", err)
	}
	off := map[string][]string{}
	for _, name := range []string{BenchEnd, UnitEnd, Bridge} {
		if off[name], err = offloadsOff(name); err != nil {
			return refused("switch offloads off on "+name, err)
		}
	}
	if err := netlink.LinkSetMaster(veth, bridge); err != nil {
		return refused("plug the cable into the bridge", err)
	}
	for _, l := range []netlink.Link{bridge, veth} {
		if err := netlink.LinkSetUp(l); err != nil {
			return refused("set "+l.Attrs().Name+" up", err)
		}
	}
	s.interfaces = []Interface{
		{Name: Bridge, Address: o.Address.String(), OffloadsOff: off[Bridge]},
		{Name: BenchEnd, OffloadsOff: off[BenchEnd]},
		{Name: UnitEnd, MAC: mac.String(), OffloadsOff: off[UnitEnd]},
	}
	return nil
}

func named(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

// Hand moves the device's end of the cable into the network namespace of a process.
func (s *Segment) Hand(pid int) error {
	l, err := netlink.LinkByName(UnitEnd)
	if err != nil {
		return refused("find the cable's end", err)
	}
	if err := netlink.LinkSetNsPid(l, pid); err != nil {
		return refused("move the cable's end", err)
	}
	return nil
}

// Interfaces tells what was made.
func (s *Segment) Interfaces() []Interface { return s.interfaces }

// Notes tells what could not be hidden of the host.
func (s *Segment) Notes() []string { return s.notes }

// Close takes the links away. The mounts go with the last process of the namespace.
func (s *Segment) Close() error {
	var errs []error
	for _, name := range append(s.plugged, BenchEnd, Bridge) {
		l, err := netlink.LinkByName(name)
		if err != nil {
			continue // went with the device's namespace, or was never made
		}
		if err := netlink.LinkDel(l); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, refused("delete "+name, err))
		}
	}
	return errors.Join(errs...)
}

// Try builds a small segment for the trial of the preflight: a bridge and a veth pair that come up, and
// a packet socket on them. dir is a folder it may write into.
func Try(ctx context.Context, dir string) error {
	s, err := Up(ctx, Options{Address: trialAddress(), MAC: "02:00:5e:00:53:01", Dir: dir})
	if err != nil {
		return err
	}
	if err := CanCapture(); err != nil {
		return errors.Join(err, s.Close())
	}
	c, err := BroadcastUDP(ctx, Bridge, 67)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	return errors.Join(c.Close(), s.Close())
}

// CanCapture tells whether this process may open a packet socket.
func CanCapture() error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused("packet socket", err)
	}
	return refused("packet socket", unix.Close(fd))
}

// BroadcastUDP opens a UDP socket on one interface that may send to 255.255.255.255, as a DHCP server needs it.
func BroadcastUDP(ctx context.Context, device string, port int) (net.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscallConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = errors.Join(
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
				unix.BindToDevice(int(fd), device),
			)
		})
		return errors.Join(err, failed)
	}}
	c, err := config.ListenPacket(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return nil, refused("dhcp socket", err)
	}
	return c, nil
}

// Kernel is the running kernel's release.
func Kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return strings.TrimRight(unix.ByteSliceToString(u.Release[:]), "\x00")
}
