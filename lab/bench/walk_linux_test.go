package bench

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/lab/refdevice"
	"assay/probes"
)

// insideTest chooses what the inner run of TestInNamespaces does.
const insideTest = "ASSAY_TEST_INSIDE"

// TestInNamespaces runs this binary again inside new namespaces, once for each test that needs them.
func TestInNamespaces(t *testing.T) {
	inside := map[string]func(*testing.T){
		"lease": insideLease, "reference": insideReference, "attached": insideAttached, "scan": insideScan,
		"gateway": insideGateway, "gateway refuses": insideGatewayRefuses, "gateway and reference device": insideGatewayReference,
		"gateway link": insideGatewayLink, "gateway slow link": insideGatewaySlow, "gateway uplink": insideGatewayUplink, "gateway failover": insideGatewayFailover, "gateway flood": insideGatewayFlood,
		"gateway ipv6": insideGateway6, "gateway cloud ipv6": insideGatewayCloud6, "gateway calls ipv6": insideGatewayCalls6,
		"gateway proves": insideGatewayProves, "gateway firewall": insideGatewayFirewall, "instruments": insideInstruments, "units": insideUnits, "gateway units": insideGatewayUnits,
	}
	if Inside() {
		switch name := os.Getenv(insideTest); name {
		case "exit":
			os.Exit(7)
		case "wait":
			<-within(t, time.Minute).Done()
		default:
			if flaw, is := strings.CutPrefix(name, impostorTest); is {
				insideImpostor(t, refdevice.FlawName(flaw))
				return
			}
			inside[name](t)
		}
		return
	}
	if err := Preflight(t.Context()); err != nil {
		t.Skip("needs private namespaces: " + err.Error())
	}
	for name := range inside {
		t.Run(name, func(t *testing.T) {
			code, err := Enter(within(t, 250*time.Second), insideArgs(), []string{insideTest + "=" + name})
			require.NoError(t, err)
			require.Zero(t, code)
		})
	}
	t.Run("impostors", func(t *testing.T) {
		// All at once: each has namespaces of its own, and mostly waits.
		var all sync.WaitGroup
		for _, flaw := range impostorFlaws() {
			all.Go(func() {
				code, err := Enter(within(t, 250*time.Second), insideArgs(), []string{insideTest + "=" + impostorTest + string(flaw)})
				assert.NoError(t, err, string(flaw))
				assert.Zero(t, code, string(flaw))
			})
		}
		all.Wait()
	})
	t.Run("exit code", func(t *testing.T) {
		code, err := Enter(t.Context(), insideArgs(), []string{insideTest + "=exit"})
		require.NoError(t, err)
		assert.Equal(t, 7, code)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		code, err := Enter(ctx, insideArgs(), []string{insideTest + "=wait"})
		require.NoError(t, err)
		assert.Equal(t, 128+15, code, "SIGTERM, as a cancelled context sends it")
	})
}

func insideArgs() []string {
	args := []string{"-test.run=^TestInNamespaces$", "-test.timeout=240s"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	return args
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func insideLease(t *testing.T) {
	noLeaks(t)
	const mac = "02:00:5e:10:00:01"
	address := netip.MustParsePrefix(referenceBench)
	seg, err := segment.Up(t.Context(), segment.Options{Address: address, MAC: mac, Dir: t.TempDir()})
	require.NoError(t, err)
	for _, i := range seg.Interfaces() {
		assert.Subset(t, i.OffloadsOff, []string{"tx", "gso", "tso"}, i.Name)
	}
	conn, err := segment.BroadcastUDP(t.Context(), segment.Bridge, portDHCP)
	require.NoError(t, err)
	d := services.StartDHCP(conn, services.DHCPOptions{
		Server: address, Static: []string{mac}, First: netip.MustParseAddr(referenceFirst), Lease: time.Hour, Now: time.Now,
	})
	l, err := netlink.LinkByName(segment.UnitEnd)
	require.NoError(t, err)
	require.NoError(t, netlink.LinkSetUp(l))
	// The kernel opens a bridge's port some time after the cable comes alive.
	require.Eventually(t, func() bool {
		port, err := netlink.LinkByName(segment.BenchEnd)
		return err == nil && port.Attrs().OperState == netlink.OperUp
	}, 10*time.Second, time.Millisecond)
	client, err := nclient4.New(segment.UnitEnd, nclient4.WithTimeout(500*time.Millisecond))
	require.NoError(t, err)
	_, err = conn.WriteTo([]byte("junk"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: portDHCP})
	require.NoError(t, err)
	lease, err := client.Request(within(t, 20*time.Second))
	require.NoError(t, err)
	assert.Equal(t, referenceFirst, lease.ACK.YourIPAddr.String())
	assert.Equal(t, "192.0.2.1", lease.ACK.Router()[0].String())
	require.NoError(t, client.Close())
	assert.EqualValues(t, 1, d.Counts().Dropped)
	require.NoError(t, d.Close())
	require.NoError(t, seg.Close())
	_, err = netlink.LinkByName(segment.Bridge)
	require.Error(t, err, "the segment is gone")
}

func insideReference(t *testing.T) {
	noLeaks(t)
	_, o := product(t, defaults())
	began := time.Now()
	b, err := Reference(t.Context(), o)
	require.NoError(t, err)
	defer b.Close()
	t.Logf("up after %v", time.Since(began))
	assert.Equal(t, referenceFirst, b.Host())
	for _, m := range b.Missing {
		assert.Equal(t, probes.InstrumentLinkDelay, m.Instrument, "not every kernel has nft_fwd_netdev: %s", m.Because)
	}
	from, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	assert.NotZero(t, from.Frame, "the first frames are in the capture")
	walk(t, b)
	to, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	w, err := b.Probes.Sniffer.Window(t.Context(), from, to)
	require.NoError(t, err)
	assert.True(t, w.Complete)
	assert.NotZero(t, w.Sent)
	proven(t, b, o.Dossier)
	took := time.Now()
	require.NoError(t, b.Restore(t.Context()))
	t.Logf("restored after %v", time.Since(took))
	require.NoError(t, b.Close())
	assert.Zero(t, b.Capture.Stats().Dropped)
	for name, met := range b.Counts() {
		assert.NotZero(t, met.Answered, name)
	}
}

// insideAttached attaches a bench to a device that a reference bench made: on a network that
// the second bench did not build.
func insideAttached(t *testing.T) {
	noLeaks(t)
	_, o := product(t, defaults())
	world, err := Reference(t.Context(), o)
	require.NoError(t, err)
	defer world.Close()

	text := "assay: bench/v1\nmode: attached\ninterface: br0\nserve: {address: 127.0.0.1, updates: true, broker: true}\n" +
		"flash: {command: [cat, flash.txt]}\nbutton: {command: [touch, '{{button}}-{{seconds}}']}\n"
	run := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(run, "flash.txt"), []byte("the flash"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(run, "bench.yaml"), []byte(text), 0o600))
	file, err := ReadFile(filepath.Join(run, "bench.yaml"))
	require.NoError(t, err)
	d := *o.Dossier
	d.Units = append(d.Units[:0:0], d.Units...)
	a := Options{Dir: run, Dossier: &d, Unit: o.Unit, File: file, Log: func(s string) { t.Log(s) }}

	_, err = Attached(t.Context(), a)
	require.ErrorIs(t, err, ErrInput)
	assert.ErrorContains(t, err, "unit unit-1 has no host")

	d.Units[0].Host = "127.0.0.1"
	_, err = Attached(t.Context(), a)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "the way to the device at 127.0.0.1 leaves by lo, not by br0")

	d.Units[0].Host = "192.0.2.250"
	_, err = Attached(t.Context(), a)
	require.ErrorIs(t, err, probes.ErrBench)
	assert.ErrorContains(t, err, "the device at 192.0.2.250 answers none of health, read-version, login-")

	require.NoError(t, os.Remove(filepath.Join(run, "capture.pcapng")))
	d.Units[0].Host = world.Host()
	b, err := Attached(t.Context(), a)
	require.NoError(t, err)
	defer b.Close()
	require.Len(t, b.Missing, 1)
	assert.Equal(t, probes.InstrumentPower, b.Missing[0].Instrument)
	assert.NotNil(t, b.Probes.Interceptor)
	assert.True(t, b.Healthy(t.Context()))
	assert.Equal(t, "the flash", flashText(t, b))
	require.Equal(t, probes.Done, do(t, b, "factory-reset-button", nil).Outcome)
	assert.FileExists(t, filepath.Join(run, "reset-10"))
	require.NoError(t, b.Restore(t.Context()))
	offer, err := b.Probes.Updates.Offer(t.Context(), "https", []byte("x"))
	require.NoError(t, err)
	assert.Regexp(t, `^https://127\.0\.0\.1:8444/[0-9a-f]{32}/image$`, offer.URL())
	offer, err = b.Probes.Updates.Offer(t.Context(), "coap", []byte("x"))
	require.NoError(t, err)
	assert.Regexp(t, `^coap://127\.0\.0\.1:5683/[0-9a-f]{32}/image$`, offer.URL())
}
