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
	var off []string
	err := withEthtool(name, func(ask ethtool) error {
		for _, o := range offloads() {
			switch _, err := ask(o.command, 0); {
			case err == nil:
				off = append(off, o.name)
			case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL):
				// This kind of interface does not have it, or cannot be without it.
			default:
				return err
			}
		}
		return nil
	})
	return off, err
}

// offloadsOn lists what is on. In linux/ethtool.h each command that asks is one less than the one that sets.
func offloadsOn(name string) []offload {
	var on []offload
	_ = withEthtool(name, func(ask ethtool) error {
		for _, o := range offloads() {
			if value, err := ask(o.command-1, 0); err == nil && value != 0 {
				on = append(on, o)
			}
		}
		return nil
	})
	return on
}

// Offloads names what hides true frames from a capture on an interface.
func Offloads(name string) []string {
	var out []string
	for _, o := range offloadsOn(name) {
		out = append(out, o.name)
	}
	return out
}

// offloadsSet switches on.
func offloadsSet(name string, on []offload) error {
	if len(on) == 0 {
		return nil
	}
	return withEthtool(name, func(ask ethtool) error {
		for _, o := range on {
			if _, err := ask(o.command, 1); err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
		return nil
	})
}

// An ethtool puts one command with a value to an interface and returns the value that comes back.
type ethtool func(command, value uint32) (uint32, error)

func withEthtool(name string, f func(ethtool) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return f(func(command, data uint32) (uint32, error) {
		value := ethtoolValue{command: command, data: data}
		request := ethtoolRequest{data: unsafe.Pointer(&value)}
		copy(request.name[:unix.IFNAMSIZ-1], name)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return 0, errno
		}
		return value.data, nil
	})
}
