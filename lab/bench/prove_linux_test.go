package bench

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab"
	"assay/lab/bench/segment"
	"assay/lab/bench/services"
	"assay/lab/refdevice"
	"assay/probes"
	"assay/profiles/dossier"
)

// gatewayWithReference puts up a gateway whose device is a reference device that somebody else started.
func gatewayWithReference(t *testing.T, more string) (*Bench, *refdevice.Product) {
	t.Helper()
	has(t, "nsenter", "ip")
	loopbackUp(t)
	p, _ := product(t, refdevice.ManufactureOptions{})
	d, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	device := plugIn(t, "eth1", "eth0", p.Units[0].MAC)
	o := gatewayWorld(t, fmt.Sprintf("flash: {file: %s}\n", p.Units[0].Flash)+more)
	o.Dossier, o.Unit = d, p.Units[0].ID
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := device.command(within(t, time.Minute), self, "__refdevice", "--config", p.Units[0].Config)
	cmd.Env = append(os.Environ(), marker+"=device")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	_, err = io.WriteString(stdin, "start\n")
	require.NoError(t, err)
	b, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() }) // a test may have broken it
	return b, p
}

// proveLimit bounds a test of a sound bench on a machine that is busy with other tests; alone it takes half a second.
const proveLimit = 8 * time.Second

// failed names what was not as expected.
func failed(s lab.SelfTest) []string {
	var all []string
	for _, a := range s.Answers {
		if !a.OK && a.NotDone == "" {
			all = append(all, a.Asked)
		}
	}
	return all
}

// proven proves a bench that is sound, and looks at what the known-good device left behind: nothing but its frames.
func proven(t *testing.T, b *Bench, d *dossier.Dossier) {
	t.Helper()
	unit, err := net.ParseMAC(d.Units[0].MAC)
	require.NoError(t, err)
	calls, err := b.Probes.Interceptor.Calls(t.Context(), probes.ViaMQTTS)
	require.NoError(t, err)
	from, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	s := b.Prove(t.Context())
	to, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	for _, a := range s.Answers {
		t.Logf("%-32s want %-60s got %s %s", a.Asked, a.Want, a.Got, a.NotDone)
	}
	require.True(t, s.Sound, "%+v", s)
	t.Logf("proven after %d ms", s.Milliseconds)
	assert.Less(t, s.Milliseconds, proveLimit.Milliseconds())
	require.NotNil(t, s.Frames)
	assert.True(t, s.Frames.First > from.Frame && s.Frames.Last <= to.Frame)
	assert.Empty(t, failed(s))
	assert.NotEqual(t, unit.String(), s.MAC)
	mac, err := net.ParseMAC(s.MAC)
	require.NoError(t, err)
	w, err := b.Capture.WindowOf(t.Context(), from, to, mac)
	require.NoError(t, err)
	assert.Greater(t, w.Sent, uint64(beacons))
	// Nothing that the known-good device says counts as the unit's.
	w, err = b.Probes.Sniffer.Window(t.Context(), from, to)
	require.NoError(t, err)
	for payload := range w.Payloads {
		assert.NotContains(t, string(payload), "self-test")
	}
	_, leased := b.leased.Lease(s.MAC)
	assert.False(t, leased)
	after, err := b.Probes.Interceptor.Calls(t.Context(), probes.ViaMQTTS)
	require.NoError(t, err)
	assert.Len(t, after, len(calls), "the device was not hung up on, and the guest's calls are not its")
	_, err = netlink.LinkByName(segment.GuestEnd)
	require.Error(t, err, "its cable is gone")
	guests, err := exec.CommandContext(t.Context(), "tc", "filter", "show", "dev", b.description.Capture, "egress").Output()
	require.NoError(t, err)
	assert.Empty(t, string(guests))
	require.NoError(t, b.Witness(t.Context()))
	assert.True(t, b.Healthy(t.Context()))
}

func insideGatewayProves(t *testing.T) {
	noLeaks(t)
	b, p := gatewayWithReference(t, "")
	d, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	before := said(t, "ip", "-d", "addr", "show", "eth1")
	proven(t, b, d)
	proven(t, b, d) // and it can be done again
	assert.Equal(t, before, said(t, "ip", "-d", "addr", "show", "eth1"), "the interface is as it was")

	// What a run that was killed in the middle of a test left does no harm.
	mac := guestMAC(d)
	_, err = segment.Visit("eth1", mac)
	require.NoError(t, err)
	proven(t, b, d)

	// Frames that are lost on the way: half of them, so that the known-good device may not even get its address.
	if segment.LinkFeatures().Loss == nil {
		for percent, want := range map[float64]string{100: "address", 25: "time"} {
			require.NoError(t, (&segment.Link{Name: "eth1"}).Degrade(probes.LinkConditions{Loss: percent}))
			s := b.Prove(t.Context())
			assert.False(t, s.Sound)
			if percent == 100 {
				assert.Equal(t, []string{want}, failed(s))
			} else {
				assert.NotEmpty(t, failed(s))
			}
			assert.NotEmpty(t, s.Mend)
			require.NoError(t, (&segment.Link{Name: "eth1"}).Degrade(probes.LinkConditions{}))
		}
		proven(t, b, d)
	}

	// A broker that is dead.
	spoil := func(server int) { // names, time, broker: in the order in which they were started
		require.NoError(t, b.serves.closers[server]())
		b.serves.closers[server] = func() error { return nil }
	}
	spoil(2)
	s := b.Prove(t.Context())
	assert.Subset(t, failed(s), []string{"broker"})
	assert.NotContains(t, failed(s), "image over https")

	// A name server that lies.
	spoil(0)
	conn, err := net.ListenPacket("udp", "10.77.0.1:53")
	require.NoError(t, err)
	liar, err := services.StartDNS(t.Context(), conn, nil, services.DNSOptions{Hosts: cloudHosts(d), Address: netip.MustParseAddr("10.77.0.66"), Now: time.Now})
	require.NoError(t, err)
	defer liar.Close()
	s = b.Prove(t.Context())
	assert.Contains(t, failed(s), "name "+cloudHosts(d)[0])
	assert.Contains(t, s.Wrong(), "want NOERROR 10.77.0.1, got NOERROR 10.77.0.66")

	// A capture that has ended.
	require.NoError(t, b.Capture.Close())
	s = b.Prove(t.Context())
	assert.Contains(t, failed(s), "capture")
	assert.Nil(t, s.Frames)

	// An interface that is gone: what was possible before is the bench's failure now.
	link, err := netlink.LinkByName("eth1")
	require.NoError(t, err)
	require.NoError(t, netlink.LinkDel(link))
	s = b.Prove(t.Context())
	assert.Empty(t, s.NotDone)
	assert.Equal(t, []string{"plug"}, failed(s))
}

// insideGatewayFirewall is about somebody else's rules on this machine.
func insideGatewayFirewall(t *testing.T) {
	has(t, "nft")
	b, p := gatewayWithReference(t, "dns: {lie: ['*.vendor.example']}\ndhcp: {router: 10.77.0.9, dns: [10.77.0.8], ntp: [10.77.0.7], failover: true}\n")
	d, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	proven(t, b, d)
	said(t, "nft", "add table inet somebody; add chain inet somebody in { type filter hook input priority 5 ; }; add rule inet somebody in tcp dport 8444 drop")
	s := b.Prove(t.Context())
	assert.Equal(t, []string{"image over https"}, failed(s))
	said(t, "nft", "flush table inet somebody")
	proven(t, b, d)
	said(t, "nft", "add chain inet somebody out { type filter hook output priority 5 ; }; add rule inet somebody out ip daddr 10.77.0.0/24 tcp flags == syn drop")
	s = b.Prove(t.Context())
	assert.Equal(t, []string{"open port", "closed port"}, failed(s), "%+v", s.Answers)
}

func TestNoProof(t *testing.T) {
	for _, mode := range []string{ModeAttached, ModeReduced} {
		b := &Bench{Mode: mode, Probes: &probes.Bench{Clock: Clock{}}}
		s := b.Prove(t.Context())
		assert.NotEmpty(t, s.NotDone, mode)
		assert.NotEmpty(t, s.Mend, mode)
		assert.Empty(t, s.Wrong(), mode)
		assert.False(t, s.Sound, mode)
		require.Error(t, CanProve(mode), mode)
	}
}
