package segment

import (
	"errors"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

type syscallConn = syscall.RawConn

// trialAddress is documentation space (RFC 5737): it exists nowhere.
func trialAddress() netip.Prefix { return netip.MustParsePrefix("192.0.2.1/24") }

// An offload is one feature and the ethtool command that sets it (linux/ethtool.h).
type offload struct {
	name    string
	command uint32
}

// offloads lists what hides true frames from a capture: with these on, frames are up to 64 KB
// long and carry no checksums.
func offloads() []offload {
	return []offload{
		{"rx", unix.ETHTOOL_SRXCSUM},
		{"tx", unix.ETHTOOL_STXCSUM},
		{"sg", unix.ETHTOOL_SSG},
		{"tso", unix.ETHTOOL_STSO},
		{"gso", unix.ETHTOOL_SGSO},
		{"gro", unix.ETHTOOL_SGRO},
	}
}

// ethtoolValue and ethtoolRequest are struct ethtool_value and the part of struct ifreq that
// SIOCETHTOOL reads.
type ethtoolValue struct{ command, data uint32 }

type ethtoolRequest struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

// offloadsOff switches off what the interface has, and names it.
func offloadsOff(name string) ([]string, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	var off []string
	for _, o := range offloads() {
		value := ethtoolValue{command: o.command}
		request := ethtoolRequest{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], name)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		switch {
		case errno == 0:
			off = append(off, o.name)
		case errors.Is(errno, unix.EOPNOTSUPP), errors.Is(errno, unix.EINVAL):
			// This kind of interface does not have it, or cannot be without it.
		default:
			return off, errno
		}
	}
	return off, nil
}
