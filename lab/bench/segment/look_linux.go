package segment

import (
	"errors"
	"net"
	"net/netip"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Looks are what can be seen of an interface without changing it.
type Looks struct {
	Up, Carrier     bool
	Driver          string
	Mbit            int    // 0: unknown
	Duplex          string // full, half; empty: unknown
	Errors, Dropped uint64
	Promiscuous     int // how many want every frame of it
}

// Look looks at an interface.
func Look(name string) (Looks, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return Looks{}, refused("find "+name, err)
	}
	a := l.Attrs()
	n := Looks{Up: a.Flags&net.FlagUp != 0, Promiscuous: int(a.Promisc)}
	n.Carrier = n.Up && a.RawFlags&unix.IFF_LOWER_UP != 0
	if s := a.Statistics; s != nil {
		n.Errors, n.Dropped = s.RxErrors+s.TxErrors, s.RxDropped+s.RxMissedErrors+s.RxFifoErrors
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return n, nil
	}
	defer func() { _ = unix.Close(fd) }()
	if info, err := unix.IoctlGetEthtoolDrvinfo(fd, name); err == nil {
		n.Driver = unix.ByteSliceToString(info.Driver[:])
	}
	n.Mbit, n.Duplex = pace(fd, name)
	return n, nil
}

// ethtoolCommand is struct ethtool_cmd (linux/ethtool.h), which every driver still answers.
type ethtoolCommand struct {
	command, supported, advertising            uint32
	speed                                      uint16
	duplex, port, phy, transceiver, negotiates uint8
	_                                          uint8
	_, _                                       uint32
	speedHigh                                  uint16
	_, _                                       uint8
	_                                          uint32
	_                                          [2]uint32
}

func pace(fd int, name string) (mbit int, duplex string) {
	c := ethtoolCommand{command: unix.ETHTOOL_GSET}
	request := ethtoolRequest{data: unsafe.Pointer(&c)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return 0, ""
	}
	if s := uint32(c.speedHigh)<<16 | uint32(c.speed); s != 0xFFFFFFFF && s != 0xFFFF {
		mbit = int(s)
	}
	switch c.duplex {
	case 0:
		duplex = "half"
	case 1:
		duplex = "full"
	}
	return mbit, duplex
}

// Takeable tells whether Take would refuse an interface for being somebody's; it changes nothing.
func Takeable(name string, ours []netip.Prefix) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return refused("find "+name, err)
	}
	n := &NIC{name: name, link: l}
	_, err = n.strangers(ours)
	var used *InUseError
	if errors.As(err, &used) {
		return used
	}
	return err
}
