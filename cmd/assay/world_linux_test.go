package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"assay/lab/bench"
)

// Tests that need a network or a disk of their own run again in new namespaces, where nothing
// that they do reaches anybody else.

const (
	insideTest = "ASSAY_TEST_INSIDE" // which test the process in the namespaces runs
	stranger   = "stranger"          // a process that becomes a device which nobody here wrote
	shutPort   = "STRANGER_SHUT"     // the UDP port at which the stranger's own firewall lets nothing in
	nobody     = 65534
)

func moreCommands() map[string]func() { return map[string]func(){stranger: beStranger} }

func TestInNamespaces(t *testing.T) {
	inside := map[string]func(*testing.T){
		"attached": insideAttached, "attached resumes": insideAttachedResumes, "logins": insideLogins, "without privilege": insideUnprivileged, "full disk": insideFullDisk, "small disk": insideSmallDisk,
		"dead interface": insideDeadInterface, "gateway": insideGateway, "gateway ends": insideGatewayEnds, "gateway goes bad": insideGatewayGoesBad,
		"gateway units": insideGatewayUnits, "gateway believes": insideGatewayBelieves, "gateway verifies": insideGatewayVerifies,
		"gateway discovers": insideGatewayDiscovers, "attached discovers": insideAttachedDiscovers,
	}
	if bench.Inside() {
		inside[os.Getenv(insideTest)](t)
		return
	}
	needBench(t)
	for name := range inside {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "without privilege" && os.Geteuid() != 0 {
				t.Skip("needs root, to become somebody without any privilege")
			}
			needStrangers(t, name)
			code, err := bench.Enter(t.Context(), insideArgs(), []string{insideTest + "=" + name})
			require.NoError(t, err)
			require.Zero(t, code)
		})
	}
	t.Run("attached, started by an ordinary user", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("the same as attached: this is an ordinary user")
		}
		t.Parallel()
		needStrangers(t, "attached")
		program, home := asNobody(t)
		cmd := exec.CommandContext(t.Context(), program, append(insideArgs(), "-test.v", "-test.run=^TestInNamespaces$/^attached$")...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		cmd.Env = append(withoutBench(os.Environ()), "TMPDIR="+home, "HOME="+home)
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
		if _, why, skipped := strings.Cut(string(said), "needs private namespaces: "); skipped {
			t.Skip("needs private namespaces for ordinary users: " + why)
		}
		require.Contains(t, string(said), "--- PASS: TestInNamespaces/attached")
	})
}

func insideArgs() []string {
	args := []string{"-test.run=^TestInNamespaces$", "-test.timeout=420s"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	return args
}

func needStrangers(t *testing.T, test string) {
	t.Helper()
	needed := map[string]string{"mosquitto": "mosquitto", "coap-server-openssl": "libcoap3-bin", "coap-server-notls": "libcoap3-bin"}
	switch test {
	case "full disk", "gateway", "gateway ends", "gateway discovers":
		return
	case "gateway units":
		needed = map[string]string{"ip": "iproute2", "bash": "bash"}
	case "logins":
		needed = map[string]string{"dropbear": "dropbear-bin", "telnetd": "inetutils-telnetd", "openssl": "openssl", "unshare": "util-linux"}
	case "gateway believes", "gateway verifies":
		maps.Copy(needed, map[string]string{
			"dropbear": "dropbear-bin", "lighttpd": "lighttpd", "udhcpc": "udhcpc", "curl": "curl", "openssl": "openssl", "unshare": "util-linux",
			"mosquitto_passwd": "mosquitto", "ip": "iproute2",
		})
	}
	for program, pack := range needed {
		if installed(program) == "" {
			t.Skipf("needs %s: apt-get install %s", program, pack)
		}
	}
}

// installed finds a program; some live where only root looks.
func installed(program string) string {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// asNobody copies this program to where everybody may start it, and makes a folder that nobody owns.
func asNobody(t *testing.T) (program, home string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "assay-test-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	self, err := os.Executable()
	require.NoError(t, err)
	program, home = filepath.Join(dir, filepath.Base(self)), filepath.Join(dir, "home")
	// By another process: one that this one starts meanwhile would inherit a copy open for writing,
	// and such a program cannot be run (ETXTBSY).
	said, err := exec.CommandContext(t.Context(), "cp", self, program).CombinedOutput()
	require.NoError(t, err, string(said))
	require.NoError(t, os.Chmod(program, 0o755))
	require.NoError(t, os.Mkdir(home, 0o755))
	require.NoError(t, os.Chown(home, nobody, nobody))
	return program, home
}

// A cable connects this namespace with a device's own.
type cable struct {
	near   string // the interface on this side
	host   string // the device's address
	device *exec.Cmd
	stdin  io.WriteCloser
}

const strangerMAC = "02:00:5e:00:53:%02x"

// plug starts a program as a device: in a network namespace of its own, at the other end of a new cable.
// Each cable of a test has its own number and its own four addresses (RFC 5737). It waits until the device listens at a port.
func plug(t *testing.T, number int, env []string, port int, program ...string) *cable {
	t.Helper()
	c := &cable{near: fmt.Sprintf("lab%d", number), host: fmt.Sprintf("198.51.100.%d", 4*number+2)}
	mac, far := fmt.Sprintf(strangerMAC, number), fmt.Sprintf("far%d", number)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: c.near}, PeerName: far, PeerHardwareAddr: hardware(t, mac)}
	require.NoError(t, netlink.LinkAdd(veth))
	own, err := netlink.ParseAddr(fmt.Sprintf("198.51.100.%d/30", 4*number+1))
	require.NoError(t, err)
	require.NoError(t, netlink.AddrAdd(veth, own))
	require.NoError(t, netlink.LinkSetUp(veth))

	c.begin(t, far, c.host+"/30", env, program...)
	require.Eventually(t, func() bool { return listens(c.device.Process.Pid, port) }, 20*time.Second, 5*time.Millisecond, "%s at port %d", program, port)
	return c
}

// begin starts the program at the far end, with an address or, where that is empty, with none.
func (c *cable) begin(t *testing.T, far, address string, env []string, program ...string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	c.device = exec.Command(self, program...)
	c.device.Args[0] = stranger
	c.device.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	c.device.Env = append(withoutBench(os.Environ()), env...)
	log := filepath.Join(t.TempDir(), "device.log")
	said, err := os.Create(log)
	require.NoError(t, err)
	c.device.Stdout, c.device.Stderr = said, said
	c.stdin, err = c.device.StdinPipe()
	require.NoError(t, err)
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the device dies with the thread that started it
		err := c.device.Start()
		started <- err
		if err == nil {
			_ = c.device.Wait()
		}
		_ = said.Close()
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = c.device.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s: %s", program, slurp(log))
		}
	})
	link, err := netlink.LinkByName(far)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetNsPid(link, c.device.Process.Pid))
	_, err = fmt.Fprintf(c.stdin, "%s %s\n", far, address)
	require.NoError(t, err)
}

// listens tells whether anything in a process's network namespace listens at a port, over UDP or TCP.
func listens(pid, port int) bool {
	for _, protocol := range []string{"udp", "udp6", "tcp", "tcp6"} {
		for line := range strings.Lines(slurp(fmt.Sprintf("/proc/%d/net/%s", pid, protocol))) {
			// The second column is the local address: hexadecimal, as the port is.
			if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				return true
			}
		}
	}
	return false
}

func hardware(t *testing.T, mac string) []byte {
	t.Helper()
	var b [6]byte
	_, err := fmt.Sscanf(mac, "%02x:%02x:%02x:%02x:%02x:%02x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5])
	require.NoError(t, err)
	return b[:]
}

// beStranger waits for its cable, sets it up and becomes the program that its arguments name.
func beStranger() {
	if err := strange(); err != nil {
		fmt.Fprintln(os.Stderr, "stranger:", err)
		os.Exit(1)
	}
}

func strange() error {
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return err
	}
	name, address, _ := strings.Cut(strings.TrimSpace(line), " ")
	for link, own := range map[string]string{"lo": "", name: address} {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		if own != "" {
			a, err := netlink.ParseAddr(own)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(l, a); err != nil {
				return err
			}
		}
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	if port, err := strconv.ParseUint(os.Getenv(shutPort), 10, 16); err == nil {
		if err := shut(uint16(port)); err != nil {
			return fmt.Errorf("shut port %d: %w", port, err)
		}
	}
	switch os.Args[1] {
	case lockingSSH:
		return beLockingSSH(os.Args[2])
	case superd:
		return beSuperd(os.Args[2], os.Args[3:]...)
	}
	program := installed(os.Args[1])
	if program == "" {
		return fmt.Errorf("%s is not installed", os.Args[1])
	}
	return unix.Exec(program, os.Args[1:], os.Environ())
}

// shut lets nothing in at a UDP port: a routing rule throws it away before the table of our own addresses,
// which therefore moves behind it. That needs no firewall tool.
func shut(port uint16) error {
	const local = 255
	own := netlink.NewRule()
	own.Priority, own.Family, own.Table = 10, unix.AF_INET, local
	if err := netlink.RuleAdd(own); err != nil {
		return err
	}
	own.Priority = 0
	if err := netlink.RuleDel(own); err != nil {
		return err
	}
	away := netlink.NewRule()
	away.Priority, away.Family, away.IPProto, away.Type = 1, unix.AF_INET, unix.IPPROTO_UDP, unix.FR_ACT_BLACKHOLE
	away.Dport = netlink.NewRulePortRange(port, port)
	return netlink.RuleAdd(away)
}

// ramDisk mounts a disk of a size.
func ramDisk(t *testing.T, size string) string {
	t.Helper()
	disk := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size="+size+",mode=0755"))
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	return disk
}

// insideFullDisk fills the disk under a running demo.
func insideFullDisk(t *testing.T) {
	disk := ramDisk(t, "64m")
	out := filepath.Join(disk, "runs")
	r := launch(t, nil, "demo", "--out", out)
	r.tells("[ 3/")
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	require.NoError(t, err)
	defer ballast.Close()
	_, err = io.Copy(ballast, zeros{})
	require.ErrorIs(t, err, syscall.ENOSPC)

	full := time.Now()
	assert.Equal(t, exitBench, r.code())
	assert.Less(t, time.Since(full), 40*time.Second)
	assert.Contains(t, r.told(), "assay: write the evidence: ")
	assert.Contains(t, r.told(), "no space left on device")
	assert.Contains(t, r.told(), "assay: hint: free some disk or choose another folder with --out; what was observed so far is in "+onlyRun(t, out))
	nobodyLeft(t, out)
	assert.GreaterOrEqual(t, r.acknowledged(), 3)
	afterTheEnd(t, r, out)
	require.NoDirExists(t, filepath.Join(onlyRun(t, out), "device"))
	require.FileExists(t, filepath.Join(onlyRun(t, out), "device-unit-1.log"))

	// A disk that is full from the start.
	never := assay(t, exitBench, "demo", "--out", filepath.Join(disk, "more"))
	assert.Contains(t, never.told(), "no space left on device")
	assert.Contains(t, never.told(), "assay: hint: ")
	left, err := filepath.Glob(filepath.Join(disk, "more", "*"))
	require.NoError(t, err)
	assert.Empty(t, left, "no empty record stays behind")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// insideSmallDisk takes the same short run to disks of many sizes: wherever it runs out of space, in the
// journal, the capture, the seal or the report, what is there is whole and the exit code tells.
func insideSmallDisk(t *testing.T) {
	device := mosquitto(t, 1, nil, "")
	m := mqttLogin(device, "owner", unique)
	codes := map[int]int{}
	for size := 8; size <= 712; size += 32 {
		args, _ := attach(t, device, m, "5.5-5")
		out := filepath.Join(ramDisk(t, fmt.Sprintf("%dk", size)), "runs")
		args[7] = out
		r := launch(t, nil, args...)
		code := r.code()
		codes[code]++
		found, err := filepath.Glob(filepath.Join(out, "*", "journal.jsonl"))
		require.NoError(t, err)
		switch {
		case code == exitNonConformant:
			sealedRun(t, out)
			assert.Empty(t, found)
			continue
		case code != exitBench:
			t.Fatalf("%d KiB: exit code %d: %s", size, code, r.told())
		}
		assert.Contains(t, r.told(), "no space left on device")
		assert.Contains(t, r.told(), "assay: hint: ")
		for _, journal := range found {
			f := incompleteRun(t, filepath.Dir(journal))
			assert.GreaterOrEqual(t, f.Observations, r.acknowledged())
		}
	}
	t.Logf("runs by exit code: %v", codes)
	assert.Greater(t, codes[exitBench], 2)
	assert.Positive(t, codes[exitNonConformant])
}
