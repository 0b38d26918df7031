package bench

import (
	"bytes"
	"context"
	"net"
	"net/netip"
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

	"assay/lab/bench/segment"
	"assay/probes"
	"assay/profiles/dossier"
)

// A plugged is a network namespace at the other end of a cable into an interface of this one: where
// a device lives that the gateway did not start.
type plugged struct {
	t   *testing.T
	pid int
}

const deviceMAC = "02:00:5e:00:53:07"

// holdVerb is what a process is called that only holds a network namespace open.
const holdVerb = "__hold"

// plugIn makes a cable from near, in this namespace, to far in a new one.
func plugIn(t *testing.T, near, far, mac string) *plugged {
	t.Helper()
	hw, err := net.ParseMAC(mac)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: near}, PeerName: far, PeerHardwareAddr: hw}))
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{os.Args[0], holdVerb}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), marker+"=device")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // it dies with the thread that started it
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	require.NoError(t, <-started)
	t.Cleanup(func() {
		_ = stdin.Close()
		<-ended
	})
	p := &plugged{t, cmd.Process.Pid}
	link, err := netlink.LinkByName(far)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetNsPid(link, p.pid))
	p.must("ip", "link", "set", "lo", "up")
	return p
}

// command runs a program in the device's namespace.
func (p *plugged) command(ctx context.Context, program ...string) *exec.Cmd {
	args := append([]string{"-t", strconv.Itoa(p.pid), "-n", "--"}, program...)
	cmd := exec.CommandContext(ctx, "nsenter", args...)
	cmd.WaitDelay = time.Second
	return cmd
}

func (p *plugged) run(program ...string) (string, error) {
	said, err := p.command(within(p.t, 30*time.Second), program...).CombinedOutput()
	return string(said), err
}

func (p *plugged) must(program ...string) string {
	p.t.Helper()
	said, err := p.run(program...)
	require.NoError(p.t, err, "%s: %s", program, said)
	return said
}

// background starts a program that runs until the test ends; the buffer is what it said.
func (p *plugged) background(program ...string) *exec.Cmd {
	p.t.Helper()
	cmd := p.command(context.WithoutCancel(p.t.Context()), program...)
	cmd.Stdout, cmd.Stderr = &limited{to: &bytes.Buffer{}, left: 1 << 16}, nil
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	require.NoError(p.t, <-started)
	p.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	return cmd
}

// leaseScript configures an interface as udhcpc asks for it, and keeps what was told.
func leaseScript(t *testing.T) (script, told string) {
	t.Helper()
	dir := t.TempDir()
	told = filepath.Join(dir, "told")
	script = filepath.Join(dir, "script")
	require.NoError(t, os.WriteFile(script, []byte(`#!/bin/sh
env >>`+told+`
case "$1" in
bound|renew) ip addr replace "$ip/$mask" dev "$interface"; ip route replace default via "$router" dev "$interface";;
deconfig) ip -4 addr flush dev "$interface";;
esac
echo "event $1 $ip from $serverid" >>`+told+`
`), 0o755))
	return script, told
}

func has(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s: %v", p, err)
		}
	}
}

// gatewayWorld makes a dossier of one unit, a bench file, and the options of a gateway on eth1.
func gatewayWorld(t *testing.T, more string) Options {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "dossier.yaml")
	require.NoError(t, os.WriteFile(path, []byte(`assay: dossier/v1
product: {manufacturer: A, model: B, firmware: "1"}
units: [{id: u1, mac: "`+deviceMAC+`"}]
`), 0o600))
	d, err := dossier.Read(path)
	require.NoError(t, err)
	file, err := ParseFile("bench.yaml", []byte("assay: bench/v1\nmode: gateway\ninterface: eth1\n"+more), dir)
	require.NoError(t, err)
	run := filepath.Join(dir, "run")
	require.NoError(t, os.Mkdir(run, 0o755))
	return Options{Dir: run, Dossier: d, Unit: "u1", File: file, Log: func(s string) { t.Log(s) }}
}

// loopbackUp is what a machine has that a new namespace has not.
func loopbackUp(t *testing.T) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(lo))
}

func insideGateway(t *testing.T) {
	noLeaks(t)
	has(t, "udhcpc", "busybox", "ip", "nsenter")
	loopbackUp(t)
	device := plugIn(t, "eth1", "eth0", deviceMAC)
	// The first queue comes with the first time that an interface is up, and stays.
	said(t, "ip", "link", "set", "eth1", "up")
	said(t, "ip", "link", "set", "eth1", "down")
	before, offloads := said(t, "ip", "-d", "addr", "show", "eth1"), segment.Offloads("eth1")
	require.NotEmpty(t, offloads)
	settings := sysctls(t)
	script, told := leaseScript(t)
	o := gatewayWorld(t, "dhcp: {lease_seconds: 3600, domain: lab.example, portal: 'https://portal.example/', options: {66: \"7466\"}}\n"+
		"dns: {lie: ['*.vendor.example']}\n")
	device.must("ip", "link", "set", "eth0", "up")
	client := device.background("udhcpc", "-f", "-i", "eth0", "-s", script, "-t", "50", "-T", "1", "-O", "114", "-O", "66", "-O", "search")
	began := time.Now()
	b, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	defer b.Close()
	t.Logf("device leased after %v", time.Since(began))
	assert.Equal(t, "10.77.0.100", b.Host())
	require.Eventually(t, func() bool { return strings.Contains(read(told), "event bound") }, 10*time.Second, 5*time.Millisecond)
	for _, want := range []string{"router=10.77.0.1", "dns=10.77.0.1", "ntpsrv=10.77.0.1", "domain=lab.example", "lease=3600", "tftp=tf", "opt114="} {
		assert.Contains(t, read(told), want)
	}
	// A renewal is answered too.
	require.NoError(t, client.Process.Signal(syscall.SIGUSR1))
	require.Eventually(t, func() bool { return strings.Contains(read(told), "event renew 10.77.0.100") }, 10*time.Second, 5*time.Millisecond)

	mark, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	assert.NotZero(t, mark.Frame)
	answer := device.must("busybox", "nslookup", "api.vendor.example", "10.77.0.1")
	assert.Contains(t, answer, "Address: 10.77.0.1")
	_, err = device.run("busybox", "nslookup", "other.example", "10.77.0.1")
	require.Error(t, err, "no such name")
	require.NoError(t, b.Close())
	assert.Equal(t, before, said(t, "ip", "-d", "addr", "show", "eth1"), "the interface is as it was found")
	assert.Equal(t, settings, sysctls(t))
	assert.Equal(t, offloads, segment.Offloads("eth1"))
	assert.FileExists(t, o.file("capture", ".pcapng"))
}

func said(t *testing.T, program ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program[0], program[1:]...).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

func read(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

// sysctls reads the settings of eth1.
func sysctls(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, family := range []string{"ipv4", "ipv6"} {
		found, err := filepath.Glob("/proc/sys/net/" + family + "/conf/eth1/*")
		require.NoError(t, err)
		for _, f := range found {
			if !strings.HasSuffix(f, "stable_secret") {
				out[f] = read(f)
			}
		}
	}
	require.NotEmpty(t, out)
	return out
}

// insideGatewayRefuses is about interfaces and addresses that a gateway must not take, and about what an
// earlier run left.
func insideGatewayRefuses(t *testing.T) {
	has(t, "ip", "nsenter")
	loopbackUp(t)
	plugIn(t, "eth1", "eth0", deviceMAC)
	plugIn(t, "eth2", "eth0", "02:00:5e:00:53:08")
	said(t, "ip", "addr", "add", "10.77.0.9/24", "dev", "eth2")
	said(t, "ip", "link", "set", "eth2", "up")
	require.Eventually(t, func() bool { return strings.Contains(said(t, "ip", "route"), "10.77.0.0/24") }, 5*time.Second, time.Millisecond)

	o := gatewayWorld(t, "address: 10.77.0.1/24\n")
	_, err := Gateway(t.Context(), o)
	require.ErrorIs(t, err, probes.ErrBench)
	require.ErrorContains(t, err, "the address 10.77.0.1/24 lies in 10.77.0.0/24, which this machine reaches by another interface")

	o = gatewayWorld(t, "")
	free, err := GatewayAddress(o.File)
	require.NoError(t, err)
	assert.Equal(t, "10.177.77.1/24", free.String(), "the first one is taken by eth2")

	said(t, "ip", "addr", "add", "198.51.100.2/24", "dev", "eth1")
	_, err = Gateway(t.Context(), o)
	require.ErrorContains(t, err, "eth1 is somebody's already: it has the address 198.51.100.2/24")
	assert.Contains(t, said(t, "ip", "addr", "show", "eth1"), "198.51.100.2/24")
	said(t, "ip", "addr", "flush", "dev", "eth1")

	o.File.Interface = "lo"
	_, err = Gateway(t.Context(), o)
	require.ErrorContains(t, err, "it is the loopback interface")
	o.File.Interface = "eth9"
	_, err = Gateway(t.Context(), o)
	require.ErrorContains(t, err, "interface eth9 does not exist")

	// A run that was killed: its address is known by its label, also where the next run chooses another one.
	nic, err := segment.Take("eth1", []netip.Prefix{netip.MustParsePrefix("172.29.77.1/24")})
	require.NoError(t, err)
	require.NoError(t, nic.Up())
	nic, err = segment.Take("eth1", []netip.Prefix{netip.MustParsePrefix("10.177.77.1/24")})
	require.NoError(t, err)
	assert.Equal(t, []string{"172.29.77.1/24"}, nic.Found().Stale)
	require.NoError(t, nic.Close())
	assert.NotContains(t, said(t, "ip", "-4", "addr", "show", "eth1"), "inet")

	// Nobody asks for an address: Ctrl-C ends the wait at once and leaves the interface as it was.
	ctx, cancel := context.WithCancel(t.Context())
	o = gatewayWorld(t, "")
	o.Log = func(s string) {
		if strings.Contains(s, "waiting for") {
			cancel()
		}
	}
	_, err = Gateway(ctx, o)
	require.ErrorIs(t, err, context.Canceled)
	assert.NotContains(t, said(t, "ip", "-4", "addr", "show", "eth1"), "inet")

	o.Dossier.Units[0].MAC = ""
	_, err = Gateway(t.Context(), o)
	require.ErrorIs(t, err, ErrInput)
	require.ErrorContains(t, err, "unit u1 has no mac")
}

// insideGatewayReference walks a reference device behind a gateway: its cloud, its updates, its captures.
func insideGatewayReference(t *testing.T) {
	b, _ := gatewayWithReference(t, "")
	assert.True(t, b.Healthy(t.Context()))
	assert.NotEmpty(t, flashText(t, b))
	require.NoError(t, b.Restore(t.Context()))
	require.NoError(t, b.Close())
	assert.Zero(t, b.Capture.Stats().Dropped)
}
