package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"assay/probes"
)

// inside is set in the process that runs in a network namespace of its own.
const inside = "ASSAY_CAPTURE_TEST_INSIDE"

// live are the tests on real kernel packets. Each runs in a fresh process, alone with its namespaces.
var live = map[string]func(*testing.T){
	"every frame is captured and counted": liveCounts,
	"a mark is exact":                     liveMarks,
	"a cut link is survived":              liveCut,
	"a link that goes ends the capture":   liveGone,
	"what the kernel loses is counted":    liveLoss,
	"a full disk is told":                 liveFull,
	"a VLAN tag is kept":                  liveVLAN,
	"killed, the file still reads":        liveKilled,
	"loopback is seen once":               liveLoopback,
	"tshark decrypts with our secrets":    liveSecrets,
	"a loss is told by its second":        liveLosses,
	"a filter leaves others out":          liveFilter,
	"libcoap cuts a mark in two":          liveBlocks,
}

func TestLive(t *testing.T) {
	for name, body := range live {
		t.Run(name, func(t *testing.T) {
			if os.Getenv(inside) == "" {
				enter(t, "^TestLive$/^"+strings.ReplaceAll(regexp.QuoteMeta(name), " ", "_")+"$")
				return
			}
			body(t)
		})
	}
}

// enter runs one test of this binary in new user, network and mount namespaces. A running Go
// process cannot enter a user namespace (it has threads), so a new one begins in it; and
// somebody without privileges may map one id only.
func enter(t testing.TB, pattern string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run="+pattern, "-test.v", "-test.count=1", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), inside+"=1", "GOCOVERDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skipf("needs user and network namespaces: %v", err)
	}
	err := cmd.Wait()
	if strings.Contains(out.String(), "--- SKIP") {
		t.Skip(out.String())
	}
	if err != nil || !strings.Contains(out.String(), "--- PASS") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String()
}

// cable makes a cable between bench0 and dut0 and returns a socket that sends as the device.
func cable(t *testing.T) (send func(frame []byte) error) {
	t.Helper()
	link := netlink.NewVeth(netlink.LinkAttrs{Name: "bench0", MTU: 1500, TxQLen: 1000})
	link.PeerName = "dut0"
	if err := netlink.LinkAdd(link); err != nil {
		t.Skipf("needs a network namespace with links: %v", err)
	}
	// The kernel's own chatter would only blur the counts.
	for _, name := range []string{"bench0", "dut0"} {
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o600)
		setUp(t, name)
	}
	plugged(t)
	dut, err := netlink.LinkByName("dut0")
	require.NoError(t, err)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	to := &unix.SockaddrLinklayer{Ifindex: dut.Attrs().Index}
	return func(frame []byte) error {
		for {
			err := unix.Sendto(fd, frame, 0, to)
			if err != unix.EINTR && err != unix.ENOBUFS {
				return err
			}
		}
	}
}

func setUp(t *testing.T, name string) {
	t.Helper()
	link, err := netlink.LinkByName(name)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(link))
}

// plugged waits until both ends carry: a veth drops what is sent before, without an error.
func plugged(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, name := range []string{"bench0", "dut0"} {
			if link, err := netlink.LinkByName(name); err != nil || link.Attrs().OperState != netlink.OperUp {
				return false
			}
		}
		return true
	}, 5*time.Second, time.Millisecond)
}

func start(t *testing.T, path string) *Capture {
	t.Helper()
	c, err := Open(t.Context(), Options{Interface: "bench0", Path: path, MAC: deviceMAC, Clock: wall{}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// numbered is a frame of the device that carries a number.
func numbered(t testing.TB, size int) func(n uint64) []byte {
	t.Helper()
	frame := udpFrame(t, 5000, 6000, make([]byte, size))
	return func(n uint64) []byte {
		binary.BigEndian.PutUint64(frame[42:], n)
		return frame
	}
}

func mark(t *testing.T, c *Capture) probes.Mark {
	t.Helper()
	m, err := c.Mark(t.Context())
	require.NoError(t, err)
	return m
}

func liveCounts(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c, frame := start(t, path), numbered(t, 100)
	from := mark(t, c)
	const count = 5000
	for n := range uint64(count) {
		require.NoError(t, send(frame(n)))
	}
	to := mark(t, c)
	w, err := c.Window(t.Context(), from, to)
	require.NoError(t, err)
	assert.EqualValues(t, count, w.Sent)
	assert.Zero(t, w.Dropped)
	assert.True(t, w.Complete)
	next := uint64(0)
	for p := range w.Payloads {
		require.Len(t, p, 100)
		require.Equal(t, next, binary.BigEndian.Uint64(p))
		next++
	}
	assert.EqualValues(t, count, next)
	s := c.Stats()
	assert.True(t, s.Running)
	assert.GreaterOrEqual(t, s.Frames, to.Frame)
	require.NoError(t, c.Close())
	if tshark, err := exec.LookPath("tshark"); err == nil {
		out, err := exec.CommandContext(t.Context(), tshark, "-n", "-r", path, "-Y", "udp.dstport == 6000", "-T", "fields", "-e", "frame.number").Output()
		require.NoError(t, err)
		assert.Equal(t, count, strings.Count(string(out), "\n"), "tshark counts the same")
	}
}

func liveMarks(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c, frame := start(t, path), numbered(t, 60)
	sent := uint64(0)
	for i := range 30 {
		for range 1 + i*i {
			require.NoError(t, send(frame(sent)))
			sent++
		}
		m := mark(t, c)
		// Everything sent so far is in the file by now, within the marked frames, and nothing else of ours.
		lines, err := Describe(path, 1, m.Frame, 1<<20)
		require.NoError(t, err)
		require.Len(t, lines, int(m.Frame))
		require.Equal(t, sent, count(lines, "192.0.2.1:6000"))
	}
}

func count(lines []Line, destination string) (n uint64) {
	for _, l := range lines {
		if l.Destination == destination {
			n++
		}
	}
	return n
}

func liveCut(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c, frame := start(t, path), numbered(t, 60)
	from := mark(t, c)
	bench, err := netlink.LinkByName("bench0")
	require.NoError(t, err)
	const rounds = 3
	for n := range uint64(rounds) {
		require.NoError(t, send(frame(n)))
		require.NoError(t, netlink.LinkSetDown(bench))
		began, used := time.Now(), processorTime(t)
		for range 10 {
			mark(t, c) // takes 10 ms or more
		}
		assert.Less(t, processorTime(t)-used, time.Since(began)/2, "waiting for a cut link costs nothing")
		setUp(t, "bench0")
		plugged(t)
	}
	require.NoError(t, send(frame(rounds)))
	w, err := c.Window(t.Context(), from, mark(t, c))
	require.NoError(t, err)
	assert.EqualValues(t, rounds+1, w.Sent)
	assert.True(t, w.Complete)
	require.NoError(t, c.Close())
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func liveGone(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c, frame := start(t, path), numbered(t, 60)
	from := mark(t, c)
	require.NoError(t, send(frame(1)))
	bench, err := netlink.LinkByName("bench0")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkDel(bench))
	require.Eventually(t, func() bool { return !c.Stats().Running }, 5*time.Second, time.Millisecond)
	_, err = c.Mark(t.Context())
	require.ErrorIs(t, err, probes.ErrNoCapture)
	require.ErrorContains(t, err, "the interface is gone")
	require.ErrorContains(t, c.Close(), "the interface is gone")
	lines, err := Describe(path, from.Frame+1, 0, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, count(lines, "192.0.2.1:6000"), "the last frame was still written")
}

func liveLoss(t *testing.T) {
	send := cable(t)
	r, err := openRing("bench0", smallRing, Filter{})
	require.NoError(t, err)
	defer func() { require.NoError(t, r.close()) }()
	frame := numbered(t, 1000)
	const sent = 3000 // three times what the ring holds, and nobody reads
	for n := range uint64(sent) {
		require.NoError(t, send(frame(n)))
	}
	var taken, lost uint64
	require.Eventually(t, func() bool {
		taken, lost, err = r.statistics()
		return err == nil && taken+lost >= sent
	}, 5*time.Second, time.Millisecond)
	assert.Greater(t, lost, uint64(0))
	read := uint64(0)
	for read < taken {
		require.NoError(t, r.read(func(p packet) {
			read++
			require.Len(t, p.data, 1042)
		}))
	}
	assert.Equal(t, taken, read)
	r.stop()
	require.Error(t, r.read(func(packet) { t.Error("more than the kernel counted") }))
}

func liveFull(t *testing.T) {
	send, dir := cable(t), t.TempDir()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skipf("needs a mount namespace: %v", err)
	}
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"))
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	path := filepath.Join(dir, "run.pcapng")
	c, frame := start(t, path), numbered(t, 1000)
	for n := range uint64(500) {
		require.NoError(t, send(frame(n)))
	}
	require.Eventually(t, func() bool { return !c.Stats().Running }, 5*time.Second, time.Millisecond)
	require.ErrorIs(t, c.Close(), unix.ENOSPC)
	s := c.Stats()
	assert.Contains(t, s.Err, "no space left")
	assert.Greater(t, s.Dropped, uint64(0))
	lines, err := Describe(path, 1, 0, 1<<20)
	require.NoError(t, err)
	assert.Len(t, lines, int(s.Frames), "the file ends with a whole block")
}

func liveVLAN(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c := start(t, path)
	frame := udpFrame(t, 5000, 6000, []byte("tagged"))
	frame = append(frame[:12:12], append([]byte{0x81, 0, 0x20, 5}, frame[12:]...)...)
	from := mark(t, c)
	require.NoError(t, send(frame))
	w, err := c.Window(t.Context(), from, mark(t, c))
	require.NoError(t, err)
	assert.True(t, w.Complete)
	var got []byte
	for p := range w.Payloads {
		got = append(got, p...)
	}
	assert.Equal(t, "tagged", string(got))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(data, frame), "as it was on the wire")
}

// liveKilled reads the file of a running capture, which is what a killed run leaves.
func liveKilled(t *testing.T) {
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	start(t, path)
	require.NoError(t, send(numbered(t, 60)(1)))
	require.Eventually(t, func() bool {
		lines, err := Describe(path, 1, 0, 0)
		return err == nil && count(lines, "192.0.2.1:6000") == 1
	}, 5*time.Second, time.Millisecond, "written without a mark")
}

func liveLoopback(t *testing.T) {
	setUp(t, "lo")
	path := filepath.Join(t.TempDir(), "run.pcapng")
	c, err := Open(t.Context(), Options{Interface: "lo", Path: path, Clock: wall{}})
	if err != nil {
		t.Skip(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrInet4{Port: 6000, Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Close(fd))
	m := mark(t, c)
	require.NoError(t, c.Close())
	lines, err := Describe(path, 1, m.Frame, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 1, count(lines, "127.0.0.1:6000"))
}

// TestFlood is the inside of BenchmarkCapture.
func TestFlood(t *testing.T) {
	if os.Getenv(inside) == "" {
		return
	}
	send, path := cable(t), filepath.Join(t.TempDir(), "run.pcapng")
	c, frame := start(t, path), numbered(t, 86)
	const sent = 200_000
	from, began := mark(t, c), time.Now()
	for n := range uint64(sent) {
		require.NoError(t, send(frame(n)))
	}
	took := time.Since(began)
	to := mark(t, c)
	fmt.Printf("flood: %d sent in %d ns, %d written, %d lost, CPU %d ns\n",
		sent, took.Nanoseconds(), to.Frame-from.Frame, to.Dropped-from.Dropped, processorTime(t).Nanoseconds())
}

// BenchmarkCapture floods a link with small frames and tells the rate and what was lost.
func BenchmarkCapture(b *testing.B) {
	var sent, took, written, lost, processor, rounds float64
	for b.Loop() {
		out := enter(b, "^TestFlood$")
		_, line, _ := strings.Cut(out, "flood: ")
		var s, n, w, l, p float64
		_, err := fmt.Sscanf(line, "%f sent in %f ns, %f written, %f lost, CPU %f ns", &s, &n, &w, &l, &p)
		require.NoError(b, err)
		sent, took, written, lost, processor, rounds = sent+s, took+n, written+w, lost+l, processor+p, rounds+1
	}
	b.ReportMetric(sent/took*1e9, "packets/s")
	b.ReportMetric(100*lost/sent, "%lost")
	b.ReportMetric(written/rounds, "written/op")
	b.ReportMetric(processor/rounds/1e9, "cpu-s/op")
}
