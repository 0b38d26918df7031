package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// blockBytes bounds the largest frame. Many small blocks beat few big ones: on a quiet
	// link every retired block is nearly empty, and their number is how long a stalled
	// reader is forgiven (128 blocks of 10 ms).
	blockBytes = 256 << 10
	slotBytes  = 2048 // TPACKET_V3 packs frames and ignores it, but checks it
	retire     = 10   // milliseconds until a block that is not full is handed over
	glance     = 250  // milliseconds between looks at the counters and the interface on a silent link
	breath     = 10   // milliseconds between looks at a socket that only reports errors

	headerBytes = (int(unsafe.Sizeof(unix.Tpacket3Hdr{})) + 15) &^ 15 // TPACKET_ALIGN
	typeOffset  = 10                                                  // sll_pkttype in struct sockaddr_ll
)

var errGone = errors.New("the interface is gone")

// A ring is a TPACKET_V3 receive ring (Documentation/networking/packet_mmap.rst): the kernel
// writes frames into shared memory, block by block.
type ring struct {
	fd     int
	event  int // wakes the reader for stop
	memory []byte
	blocks int
	ended  atomic.Bool

	// The reader's own.
	next    int    // the block to look at
	after   int    // blocks handed over after stop
	handed  uint64 // frames handed over
	parting int    // looks taken since the interface went

	mu    sync.Mutex // guards what follows; closed: the descriptors are no longer ours
	taken uint64
	lost  uint64
	gone  bool
}

func openRing(name string, size int, filter Filter) (_ *ring, err error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	r := &ring{fd: -1, event: -1}
	defer func() {
		if err != nil {
			_ = r.close()
		}
	}()
	// Protocol 0 receives nothing: no frame of another interface, and none past the ring.
	if r.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		if errors.Is(err, unix.EPERM) {
			return nil, fmt.Errorf("open a packet socket (needs CAP_NET_RAW): %w", err)
		}
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if r.event, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make an eventfd: %w", err)
	}
	if err := r.share(size); err != nil {
		return nil, err
	}
	if err := r.limit(filter); err != nil {
		return nil, err
	}
	return r, r.join(link)
}

// limit makes the kernel leave frames out before it counts or keeps them.
func (r *ring) limit(filter Filter) error {
	program, err := filter.program()
	if err != nil {
		return fmt.Errorf("assemble the filter: %w", err)
	}
	if len(program) == 0 {
		return nil
	}
	code := make([]unix.SockFilter, len(program))
	for i, one := range program {
		code[i] = unix.SockFilter{Code: one.Op, Jt: one.Jt, Jf: one.Jf, K: one.K}
	}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}); err != nil { //nolint:gosec // bounded
		return fmt.Errorf("attach the filter: %w", err)
	}
	return nil
}

// share sets the ring up and maps it.
func (r *ring) share(size int) error {
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return fmt.Errorf("choose TPACKET_V3: %w", err)
	}
	r.blocks = (size + blockBytes - 1) / blockBytes
	request := unix.TpacketReq3{
		Block_size: blockBytes, Block_nr: uint32(r.blocks),
		Frame_size: slotBytes, Frame_nr: uint32(r.blocks * (blockBytes / slotBytes)),
		Retire_blk_tov: retire,
	}
	if err := unix.SetsockoptTpacketReq3(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return fmt.Errorf("make a ring of %d bytes: %w", r.blocks*blockBytes, err)
	}
	memory, err := unix.Mmap(r.fd, 0, r.blocks*blockBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map the ring: %w", err)
	}
	r.memory = memory
	return nil
}

// join starts the flow of frames from one interface.
func (r *ring) join(link *net.Interface) error {
	if link.Flags&net.FlagLoopback != 0 {
		// On loopback every frame goes out and comes in: once is enough, as for libpcap.
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("ignore outgoing frames: %w", err)
		}
	} else {
		member := unix.PacketMreq{Ifindex: int32(link.Index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(r.fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &member); err != nil {
			return fmt.Errorf("listen to every address: %w", err)
		}
	}
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff}) // in network order
	if err := unix.Bind(r.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}); err != nil {
		return fmt.Errorf("bind the packet socket: %w", err)
	}
	bound, err := r.address()
	if err != nil {
		return err
	}
	if bound.Hatype != unix.ARPHRD_ETHER && bound.Hatype != unix.ARPHRD_LOOPBACK {
		return fmt.Errorf("not an Ethernet interface (hardware type %d)", bound.Hatype)
	}
	return nil
}

func (r *ring) address() (*unix.SockaddrLinklayer, error) {
	bound, err := unix.Getsockname(r.fd)
	if err != nil {
		return nil, fmt.Errorf("ask where the packet socket is bound: %w", err)
	}
	link, ok := bound.(*unix.SockaddrLinklayer)
	if !ok {
		return nil, fmt.Errorf("ask where the packet socket is bound: answered a %T", bound)
	}
	return link, nil
}

// read hands over one block, or waits for one. It returns with nothing now and then.
func (r *ring) read(add func(packet)) error {
	block := r.memory[r.next*blockBytes:][:blockBytes]
	head := (*unix.TpacketHdrV1)(unsafe.Pointer(&(*unix.TpacketBlockDesc)(unsafe.Pointer(&block[0])).Hdr))
	ended := r.ended.Load()
	if atomic.LoadUint32(&head.Block_status)&unix.TP_STATUS_USER == 0 {
		if ended {
			return io.EOF
		}
		return r.wait()
	}
	if ended {
		// What lay in the ring is still ours; a link that never pauses must not keep us.
		if r.after++; r.after > r.blocks {
			return io.EOF
		}
	}
	r.handed += uint64(head.Num_pkts)
	err := walk(block, head, add)
	atomic.StoreUint32(&head.Block_status, unix.TP_STATUS_KERNEL)
	r.next = (r.next + 1) % r.blocks
	return err
}

// walk hands over the frames of a block that is ours for the moment.
func walk(block []byte, head *unix.TpacketHdrV1, add func(packet)) error {
	at := int(head.Offset_to_first_pkt)
	var tagged []byte
	for i := range head.Num_pkts {
		if at < 0 || at+headerBytes+unix.SizeofSockaddrLinklayer > len(block) {
			return fmt.Errorf("ring block: frame %d begins at %d", i, at)
		}
		h := (*unix.Tpacket3Hdr)(unsafe.Pointer(&block[at]))
		from := at + int(h.Mac)
		to := from + int(h.Snaplen)
		if from > to || to > len(block) {
			return fmt.Errorf("ring block: frame %d of %d bytes at %d", i, h.Snaplen, from)
		}
		p := packet{
			nanoseconds: uint64(h.Sec)*1e9 + uint64(h.Nsec),
			data:        block[from:to],
			original:    int(h.Len),
			outbound:    block[at+headerBytes+typeOffset] == unix.PACKET_OUTGOING,
		}
		if h.Status&unix.TP_STATUS_VLAN_VALID != 0 && len(p.data) >= 12 {
			// The kernel keeps the tag beside the frame; on the wire it was in it.
			tpid := uint16(unix.ETH_P_8021Q)
			if h.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
				tpid = h.Hv1.Vlan_tpid
			}
			tagged = append(tagged[:0], p.data[:12]...)
			tagged = binary.BigEndian.AppendUint16(tagged, tpid)
			tagged = binary.BigEndian.AppendUint16(tagged, uint16(h.Hv1.Vlan_tci))
			tagged = append(tagged, p.data[12:]...)
			p.data, p.original = tagged, p.original+4
		}
		add(p)
		at += int(h.Next_offset)
	}
	return nil
}

// wait sleeps until the kernel hands a block over, somebody calls stop, or a while has passed.
func (r *ring) wait() error {
	fds := []unix.PollFd{{Fd: int32(r.event), Events: unix.POLLIN}, {Fd: int32(r.fd), Events: unix.POLLIN}}
	ready, err := unix.Poll(fds, glance)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("poll the ring: %w", err)
	}
	faulty := fds[1].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
	if ready > 0 && !faulty {
		return nil
	}
	// An interface that goes reports only that it went down: where the socket is bound tells more.
	bound, err := r.address()
	if err != nil {
		return err
	}
	if bound.Ifindex <= 0 {
		return r.part(fds[:1])
	}
	if !faulty {
		return nil
	}
	// A cut link makes poll return at once, for ever, until the error is read.
	code, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return fmt.Errorf("read the socket's error: %w", err)
	}
	if fault := unix.Errno(code); fault != 0 && fault != unix.ENETDOWN {
		return fmt.Errorf("packet socket: %w", fault)
	}
	// Whatever else keeps reporting must not burn the processor.
	return nap(fds[:1])
}

// nap waits a moment, or for stop.
func nap(fds []unix.PollFd) error {
	if _, err := unix.Poll(fds, breath); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll the ring: %w", err)
	}
	return nil
}

// part waits for the block that was open when the interface went, and then says so.
func (r *ring) part(fds []unix.PollFd) error {
	taken, _, err := r.statistics()
	if err != nil {
		return err
	}
	if r.parting++; r.handed >= taken || r.parting > 20 {
		return errGone
	}
	return nap(fds)
}

// statistics adds up the kernel's counters, which start over with each look.
func (r *ring) statistics() (taken, lost uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return r.taken, r.lost, nil
	}
	s, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, 0, fmt.Errorf("read the packet statistics: %w", err)
	}
	// The kernel's "packets" include its "drops".
	r.taken += uint64(s.Packets - s.Drops)
	r.lost += uint64(s.Drops)
	return r.taken, r.lost, nil
}

func (r *ring) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended.Store(true)
	if !r.gone {
		_, _ = unix.Write(r.event, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

// close gives everything back. Nobody may read any more.
func (r *ring) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return nil
	}
	r.gone = true
	var errs []error
	if r.memory != nil {
		errs = append(errs, unix.Munmap(r.memory))
	}
	for _, fd := range []int{r.event, r.fd} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	return errors.Join(errs...)
}
