package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// insideGateway6 lets the kernel make an address of its own, and Debian's dhclient lease one.
func insideGateway6(t *testing.T) {
	noLeaks(t)
	has(t, "dhclient")
	b, device, _ := gatewayWithClient(t, "dns: {lie: [six.example]}\nipv6: {slaac: true, dhcp: true}\n")
	// The link's own address must be settled, too: without it dhclient gives up at once.
	own := func() string { return device.must("ip", "-6", "addr", "show", "dev", "eth0") }
	require.Eventually(t, func() bool {
		has := own()
		return strings.Contains(has, "fd77:a55a:7700:") && strings.Contains(has, "fe80:") && !strings.Contains(has, "tentative")
	},
		10*time.Second, 5*time.Millisecond, "the kernel makes an address from the advertised prefix")
	assert.Contains(t, device.must("ip", "-6", "route"), "default via fe80::")
	device.must("busybox", "ping", "-6", "-c", "1", "-W", "2", "fd77:a55a:7700::1")

	dir := t.TempDir()
	log, script := filepath.Join(dir, "log"), filepath.Join(dir, "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\necho \"$reason $new_ip6_address $new_dhcp6_name_servers\" >>"+log+"\nexit 0\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "conf"), []byte("retry 1;\n"), 0o644))
	device.background("dhclient", "-d", "-6", "-sf", script, "-cf", filepath.Join(dir, "conf"), "-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
	require.Eventually(t, func() bool { return strings.Contains(read(log), "BOUND6 fd77:a55a:7700::1000 fd77:a55a:7700::1") }, 20*time.Second, 5*time.Millisecond)
	answer := device.must("busybox", "nslookup", "six.example", "fd77:a55a:7700::1")
	assert.Contains(t, answer, "Address: 10.77.0.1")

	// After a cut the router is there again.
	require.NoError(t, b.Probes.Link.Cut(t.Context()))
	require.NoError(t, b.Probes.Link.Restore(t.Context()))
	require.Eventually(t, func() bool {
		_, err := device.run("busybox", "ping", "-6", "-c", "1", "-W", "1", "fd77:a55a:7700::1")
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
	counts := b.Counts()
	assert.NotZero(t, counts["dhcpv6"].Answered)
	assert.NotZero(t, counts["router advertisements"].Answered)
}
