package bench

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/refdevice"
	"assay/probes"
	"assay/profiles/dossier"
)

const cloudPort6 = 5684

// cloud6World is a gateway with IPv6 in front of a device made of Debian's programs, which calls the cloud of a product.
func cloud6World(t *testing.T) (*Bench, *plugged, *refdevice.Product, func(program ...string) (string, error)) {
	t.Helper()
	has(t, "udhcpc", "busybox", "ip", "nsenter", "unshare", "curl", "mosquitto_pub", "coap-client-openssl")
	loopbackUp(t)
	p, _ := product(t, refdevice.ManufactureOptions{})
	made, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	device := plugIn(t, "eth1", "eth0", deviceMAC)
	script, told := leaseScript(t)
	device.must("ip", "link", "set", "eth0", "up")
	device.background("udhcpc", "-f", "-i", "eth0", "-s", script, "-t", "50", "-T", "1")
	o := gatewayWorld(t, "ipv6: {slaac: true}\n")
	d := *made
	d.Units, d.Operations = o.Dossier.Units, nil
	d.IXIT.LogIntf = append(slices.Clone(d.IXIT.LogIntf), dossier.LogIntf{ID: "LogIntf-9", Contacts: []dossier.Endpoint{
		{Host: d.Cloud.Hosts[0], Protocol: "udp", Port: cloudPort6, Application: "coaps"},
	}})
	o.Dossier = &d
	b, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.Close()) })
	require.Eventually(t, func() bool { return strings.Contains(read(told), "event bound") }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		own := device.must("ip", "-6", "addr", "show", "dev", "eth0")
		return strings.Contains(own, "fd77:a55a:7700:") && !strings.Contains(own, "tentative")
	}, 10*time.Second, 5*time.Millisecond)
	// A name server of its own, in a mount namespace of its own.
	resolver := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(resolver, []byte("nameserver fd77:a55a:7700::1\n"), 0o644))
	return b, device, p, func(program ...string) (string, error) {
		return device.run(append([]string{"unshare", "-m", "--", "sh", "-c", `mount --bind ` + resolver + ` /etc/resolv.conf && exec "$@"`, "sh"}, program...)...)
	}
}

// insideGatewayCloud6 lets strangers call the cloud over IPv6: by name, the genuine one and impostors, with and without verification.
func insideGatewayCloud6(t *testing.T) {
	noLeaks(t)
	b, device, p, run := cloud6World(t)
	for name, want := range map[string]string{"cloud.thermostat.example": "fd77:a55a:7700::1", "updates.thermostat.example": "fd77:a55a:7700::1"} {
		said := device.must("busybox", "nslookup", name, "fd77:a55a:7700::1")
		assert.Contains(t, said, want)
		assert.Contains(t, said, "10.77.0.1")
	}
	curl := func(more ...string) (string, error) {
		return run(append([]string{"curl", "-6", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{remote_ip} %{http_code}", "https://updates.thermostat.example:8444/"}, more...)...)
	}
	publish := func(more ...string) (string, error) {
		return run(append([]string{"timeout", "10", "mosquitto_pub", "-h", "fd77:a55a:7700::1", "-p", "8883", "-i", "six", "-t", "t", "-m", "m", "--cafile", p.Root, "-d"}, more...)...)
	}
	said, err := curl("--cacert", p.Root)
	require.NoError(t, err, said)
	assert.Equal(t, "fd77:a55a:7700::1 404", said, "the genuine cloud")
	calls, err := b.Probes.Interceptor.Calls(t.Context(), probes.ViaHTTPS)
	require.NoError(t, err)
	require.Len(t, calls, 1, "whoever has the device's hardware address is the device")
	assert.Equal(t, "http", calls[0].Protocol)

	for _, s := range []probes.Scenario{probes.UnknownCA, probes.Expired, probes.WrongHost} {
		st, err := b.Probes.Interceptor.Stand(t.Context(), probes.ViaHTTPS, s)
		require.NoError(t, err)
		said, err := curl("--cacert", p.Root)
		require.Error(t, err, "%s: a client that verifies: %s", s, said)
		said, err = curl("-k")
		require.NoError(t, err, said)
		require.Eventually(t, func() bool { return len(st.Calls()) == 2 }, 5*time.Second, time.Millisecond)
		got := st.Calls()
		assert.Zero(t, got[0].Bytes, string(s))
		assert.Positive(t, got[1].Bytes, "%s: one that does not", s)
		require.NoError(t, st.Close())
	}

	st, err := b.Probes.Interceptor.Stand(t.Context(), probes.ViaMQTTS, probes.UnknownCA)
	require.NoError(t, err)
	_, err = publish()
	require.Error(t, err)
	said, _ = publish("--insecure")
	require.Eventually(t, func() bool { return len(st.Calls()) >= 1 }, 5*time.Second, time.Millisecond, said)
	for _, c := range st.Calls() {
		assert.Zero(t, c.Bytes, "mosquitto's --insecure minds the name only")
	}
	require.NoError(t, st.Close())
	st, err = b.Probes.Interceptor.Stand(t.Context(), probes.ViaMQTTS, probes.WrongHost)
	require.NoError(t, err)
	said, _ = publish("--insecure")
	require.Eventually(t, func() bool { c := st.Calls(); return len(c) == 1 && c[0].Bytes > 0 }, 5*time.Second, time.Millisecond, said)
	assert.Equal(t, "mqtt", st.Calls()[0].Protocol)
	require.NoError(t, st.Close())

	dtls := func(more ...string) (string, error) {
		return run(append(append([]string{"coap-client-openssl", "-B", "5"}, more...), "coaps://[fd77:a55a:7700::1]:5684/x")...)
	}
	st, err = b.Probes.Interceptor.Stand(t.Context(), probes.ViaCoAPS, probes.SelfSigned)
	require.NoError(t, err)
	said, _ = dtls("-n")
	require.Eventually(t, func() bool { c := st.Calls(); return len(c) > 0 && c[0].Bytes > 0 }, 10*time.Second, time.Millisecond, said)
	require.NoError(t, st.Close())
}

// insideGatewayCalls6 is about who a caller over IPv6 is.
func insideGatewayCalls6(t *testing.T) {
	b, device, _, run := cloud6World(t)
	// Another address that the device gives itself is still the device.
	device.must("ip", "addr", "add", "fd77:a55a:7700::beef/64", "dev", "eth0", "nodad")
	fetch := func() {
		said, err := run("curl", "-6", "-sS", "-k", "-m", "10", "-o", "/dev/null", "--interface", "fd77:a55a:7700::beef", "https://updates.thermostat.example:8444/")
		require.NoError(t, err, said)
	}
	count := func() int {
		calls, err := b.Probes.Interceptor.Calls(t.Context(), probes.ViaHTTPS)
		require.NoError(t, err)
		return len(calls)
	}
	fetch()
	assert.Equal(t, 1, count())
	// Somebody else on its cable is not.
	device.must("ip", "link", "set", "eth0", "down")
	device.must("ip", "link", "set", "eth0", "address", "02:00:5e:00:53:55")
	device.must("ip", "link", "set", "eth0", "up")
	device.must("ip", "addr", "replace", "fd77:a55a:7700::cafe/64", "dev", "eth0", "nodad")
	require.Eventually(t, func() bool {
		_, err := run("curl", "-6", "-sS", "-k", "-m", "2", "-o", "/dev/null", "--interface", "fd77:a55a:7700::cafe", "https://updates.thermostat.example:8444/")
		return err == nil
	}, 20*time.Second, 10*time.Millisecond)
	assert.Equal(t, 1, count())
	ours := callsFrom6(context.WithoutCancel(t.Context()), func(net.Addr) bool { return true }, "eth1", net.HardwareAddr{2, 0, 0x5e, 0, 0x53, 7})
	assert.True(t, ours(&net.TCPAddr{IP: net.IPv4(10, 77, 0, 100)}), "over IPv4 the address decides")
	assert.False(t, ours(&net.TCPAddr{IP: net.ParseIP("fd77:a55a:7700::dead")}), "nobody is there")
	assert.False(t, ours(&net.TCPAddr{IP: net.ParseIP("fd77:a55a:7700::cafe")}))
}
