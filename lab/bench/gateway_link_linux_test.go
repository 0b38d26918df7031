package bench

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/bench/segment"
	"assay/probes"
)

// gatewayWithClient puts up a gateway whose device is busybox with an address of the gateway's.
func gatewayWithClient(t *testing.T, more string) (*Bench, *plugged, Options) {
	t.Helper()
	has(t, "udhcpc", "busybox", "ip", "nsenter")
	loopbackUp(t)
	device := plugIn(t, "eth1", "eth0", deviceMAC)
	script, told := leaseScript(t)
	device.must("ip", "link", "set", "eth0", "up")
	device.background("udhcpc", "-f", "-i", "eth0", "-s", script, "-t", "50", "-T", "1")
	o := gatewayWorld(t, more)
	b, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	require.Eventually(t, func() bool { return strings.Contains(read(told), "event bound") }, 10*time.Second, 5*time.Millisecond)
	return b, device, o
}

var lossLine = regexp.MustCompile(`(\d+)% packet loss`)

// lost pings the bench from the device and tells how many of 100 went unanswered.
func lost(t *testing.T, device *plugged, count int) int {
	t.Helper()
	said, _ := device.run("busybox", "ping", "-q", "-c", strconv.Itoa(count), "-i", "0.003", "-W", "1", "10.77.0.1")
	m := lossLine.FindStringSubmatch(said)
	require.NotNil(t, m, said)
	n, err := strconv.Atoi(m[1])
	require.NoError(t, err)
	return n
}

func insideGatewayLink(t *testing.T) {
	noLeaks(t)
	b, device, _ := gatewayWithClient(t, "")
	l := b.Probes.Link
	assert.Zero(t, lost(t, device, 20))

	require.NoError(t, b.Check(t.Context()))
	require.NoError(t, l.Cut(t.Context()))
	require.NoError(t, b.Check(t.Context()), "a probe has cut it on purpose")
	link, err := netlink.LinkByName("eth1")
	require.NoError(t, err)
	assert.Zero(t, link.Attrs().Flags&net.FlagUp)
	assert.Equal(t, 100, lost(t, device, 3))
	require.NoError(t, l.Restore(t.Context()))
	require.Eventually(t, func() bool { return lost(t, device, 1) == 0 }, 10*time.Second, time.Millisecond)
	stats := b.Capture.Stats()
	assert.True(t, stats.Running && stats.Err == "", "the capture outlives a cut: %+v", stats)

	features := segment.LinkFeatures()
	if features.Loss != nil {
		t.Skip("needs nftables for the rest: " + features.Loss.Error())
	}
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Loss: 20}))
	got := lost(t, device, 400)
	assert.True(t, got > 22 && got < 50, "20 %% in each direction is 36 %% of round trips, have %d", got)
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{}))
	assert.Zero(t, lost(t, device, 100))

	if features.Rate == nil {
		require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Rate: 800_000}))
		// 300 kB at 100 kB/s, of which the burst is free.
		n, took := download(t, device)
		t.Logf("%d bytes in %v at 800 kbit/s", n, took)
		assert.Greater(t, took, 1500*time.Millisecond)
		assert.Less(t, took, 20*time.Second)
	}
	require.Error(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: time.Minute}))
	require.Error(t, l.Degrade(t.Context(), probes.LinkConditions{Loss: 101}))
	require.Error(t, l.Degrade(t.Context(), probes.LinkConditions{Rate: -1}))

	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Loss: 100}))
	require.NoError(t, b.Probes.Time.Shift(t.Context(), 240*time.Hour))
	answer, err := ntp.Query("10.77.0.1")
	require.NoError(t, err)
	assert.InDelta(t, 240*3600, answer.ClockOffset.Seconds(), 1)
	require.NoError(t, b.settle())
	assert.Zero(t, lost(t, device, 100), "nothing of it outlives a step")
	answer, err = ntp.Query("10.77.0.1")
	require.NoError(t, err)
	assert.InDelta(t, 0, answer.ClockOffset.Seconds(), 1)
	assert.NotContains(t, said(t, "tc", "qdisc", "show", "dev", "eth1"), "tbf")

	// What somebody else does to the interface makes the bench unsound, and it says so.
	require.NoError(t, b.Check(t.Context()))
	require.NoError(t, netlink.LinkSetDown(link))
	require.ErrorContains(t, b.Check(t.Context()), "somebody has set eth1 down")
	require.NoError(t, netlink.LinkSetUp(link))
	said(t, "ip", "addr", "del", "10.77.0.1/24", "dev", "eth1")
	require.ErrorContains(t, b.Check(t.Context()), "somebody has taken the address 10.77.0.1/24 off eth1")
}

// download lets the device take 300 kB from the bench.
func download(t *testing.T, device *plugged) (int64, time.Duration) {
	t.Helper()
	l, err := net.Listen("tcp", "10.77.0.1:8099")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, _ = c.Write(make([]byte, 300_000))
			_ = c.Close()
		}
	}()
	into := filepath.Join(t.TempDir(), "got")
	began := time.Now()
	_, err = device.run("sh", "-c", "busybox nc 10.77.0.1 8099 </dev/null >"+into)
	require.NoError(t, err)
	info, err := os.Stat(into)
	require.NoError(t, err)
	assert.EqualValues(t, 300_000, info.Size())
	return info.Size(), time.Since(began)
}

// outside is a machine beyond the uplink, with web pages at two ports.
func outside(t *testing.T) *plugged {
	t.Helper()
	p := plugIn(t, "up0", "eth0", "02:00:5e:00:53:09")
	said(t, "ip", "addr", "add", "203.0.113.1/24", "dev", "up0")
	said(t, "ip", "link", "set", "up0", "up")
	p.must("ip", "addr", "add", "203.0.113.7/24", "dev", "eth0")
	p.must("ip", "link", "set", "eth0", "up")
	program, err := os.Executable()
	require.NoError(t, err)
	for _, port := range []string{"8080", "8081"} {
		p.background("env", marker+"=device", program, "__web", ":"+port)
		require.Eventually(t, func() bool {
			_, err := p.run("curl", "-s", "-m", "2", "http://203.0.113.7:"+port+"/")
			return err == nil
		}, 10*time.Second, 10*time.Millisecond)
	}
	return p
}

func insideGatewayUplink(t *testing.T) {
	noLeaks(t)
	has(t, "curl")
	if f := segment.LinkFeatures(); f.Loss != nil {
		t.Skip("needs nftables: " + f.Loss.Error())
	}
	outside(t)
	fetch := func(device *plugged, at string) error {
		_, err := device.run("curl", "-s", "-m", "1", "http://"+at+"/")
		return err
	}
	// This machine forwards everything for somebody else, as one with containers does.
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/forwarding", []byte("1"), 0o644))
	b, device, o := gatewayWithClient(t, "")
	require.Error(t, fetch(device, "203.0.113.7:8080"), "without an uplink nothing leaves")
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/conf/eth1/forwarding", []byte("1"), 0o644))
	require.Error(t, fetch(device, "203.0.113.7:8080"), "nor where somebody switches forwarding on again")
	ping, _ := device.run("busybox", "ping", "-c", "1", "-W", "1", "203.0.113.1")
	assert.Contains(t, ping, "100% packet loss", "this machine's other addresses are not the device's business")
	require.NoError(t, b.Close())

	o.File.Uplink = &Uplink{Interface: "up0", Allow: []string{"203.0.113.7:8080"}}
	require.NoError(t, os.Remove(o.file("capture", ".pcapng")))
	b, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	defer b.Close()
	require.Eventually(t, func() bool { return fetch(device, "203.0.113.7:8080") == nil }, 20*time.Second, time.Millisecond)
	require.Error(t, fetch(device, "203.0.113.7:8081"), "another port")
	ping, _ = device.run("busybox", "ping", "-c", "1", "-W", "1", "203.0.113.7")
	assert.Contains(t, ping, "100% packet loss", "another protocol")
	require.NoError(t, b.Close())
	assert.Equal(t, "1\n", read("/proc/sys/net/ipv4/conf/all/forwarding"))

	o.File.Uplink = &Uplink{Interface: "up0", Allow: []string{"nowhere.invalid:1"}}
	o.File.DNS = &NamesFile{Upstream: "203.0.113.7:53"}
	_, err = Gateway(t.Context(), o)
	require.ErrorIs(t, err, probes.ErrBench)
	require.ErrorContains(t, err, "uplink: find nowhere.invalid")
	o.File.Uplink.Interface = "up9"
	_, err = Gateway(t.Context(), o)
	require.ErrorContains(t, err, "uplink: interface up9 does not exist")
}

// insideGatewayFailover lets a real client outlive its DHCP server.
func insideGatewayFailover(t *testing.T) {
	noLeaks(t)
	has(t, "dhclient", "ip", "nsenter")
	loopbackUp(t)
	device := plugIn(t, "eth1", "eth0", deviceMAC)
	device.must("ip", "link", "set", "eth0", "up")
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	t.Cleanup(func() { t.Log(read(log)) })
	script := filepath.Join(dir, "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$reason $new_ip_address $new_dhcp_server_identifier\" >>"+log+
		"\n[ -n \"$new_ip_address\" ] && ip addr replace \"$new_ip_address/24\" dev eth0\nexit 0\n"), 0o755))
	config := filepath.Join(dir, "conf")
	require.NoError(t, os.WriteFile(config, []byte("initial-interval 1;\nretry 1;\nbackoff-cutoff 1;\n"), 0o644))
	device.background("dhclient", "-d", "-v", "-4", "-sf", script, "-cf", config, "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
	o := gatewayWorld(t, "dhcp: {lease_seconds: 12, renew_seconds: 2, rebind_seconds: 4, failover: true}\n")
	b, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	defer b.Close()
	require.Eventually(t, func() bool { return strings.Contains(read(log), "BOUND 10.77.0.100 10.77.0.1\n") }, 20*time.Second, 5*time.Millisecond, "%s", read(log))
	// The first server is silent from now on, the second answers the broadcast at T2, and then renews.
	// (dhclient calls both a renewal.)
	require.Eventually(t, func() bool { return strings.Count(read(log), "RENEW 10.77.0.100 10.77.0.2\n") > 1 }, 20*time.Second, 5*time.Millisecond)
	assert.NotContains(t, read(log), "RENEW 10.77.0.100 10.77.0.1\n")
	assert.NotContains(t, read(log), "EXPIRE")
	assert.Equal(t, "10.77.0.100", b.Host())
}

// insideGatewayFlood is a device that invents MAC addresses, and sends what no protocol has.
func insideGatewayFlood(t *testing.T) {
	noLeaks(t)
	b, device, _ := gatewayWithClient(t, "dns: {lie: [api.vendor.example]}\n")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	program, err := os.Executable()
	require.NoError(t, err)
	for _, verb := range []string{"__flood-dhcp", "__flood-dns"} {
		cmd := device.command(within(t, time.Minute), program, verb)
		cmd.Env = append(os.Environ(), marker+"=device")
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
	}
	counts := b.Counts()
	t.Logf("met: %+v", counts)
	assert.Greater(t, counts["dhcp"].Received, uint64(5000))
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(16<<20))
	// The bench lives: the declared device still has its address and gets names.
	assert.Contains(t, device.must("busybox", "nslookup", "api.vendor.example", "10.77.0.1"), "Address: 10.77.0.1")
	assert.Equal(t, "10.77.0.100", b.Host())
	assert.Zero(t, lost(t, device, 20))
}
