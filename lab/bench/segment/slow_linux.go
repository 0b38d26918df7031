package segment

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The cable on which frames to a slow link wait: the kernel's rules put them in at one end, and they are read at the other.
const (
	slowIn  = "assayd0"
	slowOut = "assayd1"
	// slowMark tells frames that have waited from those that have not.
	slowMark = 0xA55A0D1E

	maxHeld      = 10_000  // frames that wait at a time; as in netem, what is more is lost
	slowBuffer   = 8 << 20 // bytes that wait to be read
	slowFrame    = 1 << 16
	slowLook     = 100 * time.Millisecond // how long closing may have to wait
	slowestSleep = 20 * time.Millisecond
)

// A slow forwarder holds every frame back and sends it on. The order stays: jitter on a cable overtakes nothing.
type slow struct {
	in, out   int // packet sockets: where frames are read, where they go on
	frames    chan held
	delay     atomic.Int64
	jitter    atomic.Int64
	stopped   atomic.Bool
	lost      atomic.Uint64
	readers   sync.WaitGroup
	forwarded sync.WaitGroup
}

type held struct {
	due   time.Time
	bytes []byte
}

// startSlow makes the waiting cable and the forwarder. Frames come once the rules send them there.
func startSlow(to netlink.Link, delay, jitter time.Duration) (_ *slow, err error) {
	s := &slow{in: -1, out: -1, frames: make(chan held, maxHeld)}
	s.set(delay, jitter)
	defer func() {
		if err != nil {
			_ = s.end()
			err = refused("slow "+to.Attrs().Name+" down", err)
		}
	}()
	if old, err := netlink.LinkByName(slowIn); err == nil {
		if err := netlink.LinkDel(old); err != nil { // of a run that was killed
			return nil, err
		}
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: slowIn, MTU: to.Attrs().MTU, TxQLen: maxHeld}, PeerName: slowOut}); err != nil {
		return nil, err
	}
	for _, name := range []string{slowIn, slowOut} {
		// Nothing of this machine's own may get on it: it would go on to the device.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) { //nolint:gosec // a file of the kernel
			return nil, err
		}
		// Checksums and segments are completed before the cable, as on the real one.
		if _, err := offloadsOff(name); err != nil {
			return nil, err
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return nil, err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return nil, err
		}
	}
	if err := s.sockets(to); err != nil {
		return nil, err
	}
	s.readers.Go(s.read)
	s.forwarded.Go(s.forward)
	return s, nil
}

func (s *slow) set(delay, jitter time.Duration) {
	s.delay.Store(int64(delay))
	s.jitter.Store(int64(jitter))
}

func (s *slow) sockets(to netlink.Link) (err error) {
	end, err := netlink.LinkByName(slowOut)
	if err != nil {
		return err
	}
	if s.in, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	if s.out, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	// Where this user may not have as much, the kernel gives what it may have.
	_ = unix.SetsockoptInt(s.in, unix.SOL_SOCKET, unix.SO_RCVBUF, slowBuffer)
	look := unix.NsecToTimeval(slowLook.Nanoseconds())
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // in network order
	return errors.Join(
		unix.SetsockoptTimeval(s.in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &look),
		unix.SetsockoptInt(s.in, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(s.out, unix.SOL_SOCKET, unix.SO_MARK, slowMark),
		unix.Bind(s.in, &unix.SockaddrLinklayer{Protocol: all, Ifindex: end.Attrs().Index}),
		unix.Bind(s.out, &unix.SockaddrLinklayer{Ifindex: to.Attrs().Index}),
	)
}

// read takes frames as they come and says when each is due.
func (s *slow) read() {
	defer close(s.frames)
	buf := make([]byte, slowFrame)
	for {
		n, _, err := unix.Recvfrom(s.in, buf, 0)
		if err != nil {
			if s.stopped.Load() {
				return
			}
			if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
				sleep(slowestSleep) // the cable is being taken away, or the machine is short of memory
			}
			continue
		}
		wait := time.Duration(s.delay.Load())
		if jitter := s.jitter.Load(); jitter > 0 {
			wait += rand.N(time.Duration(jitter))
		}
		select {
		case s.frames <- held{time.Now().Add(wait), append([]byte(nil), buf[:n]...)}:
		default:
			s.lost.Add(1)
		}
	}
}

// forward sends each frame on when it is due; at the end, what still waits goes at once.
func (s *slow) forward() {
	for f := range s.frames {
		for left := time.Until(f.due); left > 0 && !s.stopped.Load(); left = time.Until(f.due) {
			sleep(min(left, slowestSleep))
		}
		if _, err := unix.Write(s.out, f.bytes); err != nil {
			s.lost.Add(1) // the link is cut
		}
	}
}

// sleep is the kernel's own: Go's timers are a millisecond coarse, these some 0.1 ms.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil)
}

// end lets go of what waits and takes the cable away. No rule may send frames there any more.
func (s *slow) end() error {
	s.stopped.Store(true)
	s.readers.Wait()
	s.forwarded.Wait()
	var errs []error
	for _, fd := range []int{s.in, s.out} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	s.in, s.out = -1, -1
	if link, err := netlink.LinkByName(slowIn); err == nil {
		errs = append(errs, netlink.LinkDel(link))
	}
	return errors.Join(errs...)
}
