package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/bench/services"
	"assay/lab/refdevice"
	"assay/probes"
	"assay/probes/tls/impostor"
	"assay/profiles/dossier"
)

const strangerMAC = "02:00:5e:00:53:99"

// switched makes a switch between eth1 and further cables, as a lab has where one interface has several units: it has a network
// namespace of its own, or this machine would answer for the bench's address at its bridge, too. The switch says nothing itself.
func switched(t *testing.T, ports ...string) {
	t.Helper()
	s := plugIn(t, "eth1", "trunk", "02:00:5e:00:53:01")
	s.must("ip", "link", "add", "switch", "type", "bridge", "mcast_snooping", "0")
	for _, name := range append([]string{"trunk", "switch"}, ports...) {
		if slices.Contains(ports, name) {
			link, err := netlink.LinkByName(name)
			require.NoError(t, err)
			require.NoError(t, netlink.LinkSetNsPid(link, s.pid))
		}
		if _, err := os.Stat("/proc/sys/net/ipv6"); err == nil {
			s.must("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6")
		}
		if name != "switch" {
			s.must("ip", "link", "set", name, "master", "switch")
		}
		s.must("ip", "link", "set", name, "up")
	}
}

// unitsWorld plugs two reference devices into one gateway, of which the second has flaws, and a stranger that asks for an address.
func unitsWorld(t *testing.T, more string, flaws ...string) (*refdevice.Product, Options, []*plugged) {
	t.Helper()
	has(t, "udhcpc", "nsenter", "ip", "bash")
	loopbackUp(t)
	p, _ := product(t, refdevice.ManufactureOptions{})
	d, err := dossier.Read(p.Dossier)
	require.NoError(t, err)
	c, err := refdevice.LoadConfig(p.Units[1].Config)
	require.NoError(t, err)
	c.Flaws = flaws
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.Units[1].Config, text, 0o600))
	self, err := os.Executable()
	require.NoError(t, err)
	var stdins []io.Writer
	var plugs []*plugged
	for n, u := range p.Units[:2] {
		device := plugIn(t, fmt.Sprintf("p%d", n), "eth0", u.MAC)
		cmd := device.command(within(t, 2*time.Minute), self, "__refdevice", "--config", u.Config)
		cmd.Env = append(os.Environ(), marker+"=device")
		stdin, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
		stdins, plugs = append(stdins, stdin), append(plugs, device)
	}
	stranger := plugIn(t, "p2", "eth0", strangerMAC)
	switched(t, "p0", "p1", "p2")
	for _, stdin := range stdins {
		_, err = io.WriteString(stdin, "start\n")
		require.NoError(t, err)
	}
	script, _ := leaseScript(t)
	stranger.must("ip", "link", "set", "eth0", "up")
	stranger.background("udhcpc", "-f", "-i", "eth0", "-s", script, "-t", "100", "-T", "1")
	o := gatewayWorld(t, more)
	o.Dossier, o.Unit, o.Several = d, p.Units[0].ID, true
	return p, o, append(plugs, stranger)
}

// insideGatewayUnits has two units on one gateway, of which one trusts whoever calls itself its cloud: that one is caught, and
// the other, the stranger beside them and what each of them says are told apart.
func insideGatewayUnits(t *testing.T) {
	noLeaks(t)
	p, o, plugs := unitsWorld(t, "", string(refdevice.SkipsTLSVerification))
	first, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	defer first.Close()
	o.Unit, o.Beside = p.Units[1].ID, first
	second, err := Gateway(t.Context(), o)
	require.NoError(t, err)
	defer second.Close()
	both := []*Bench{first, second}
	for n, b := range both {
		assert.Equal(t, []string{"10.77.0.100", "10.77.0.101"}[n], b.Host())
		id := b.Identity()
		assert.Equal(t, p.Units[n].ID, id.Unit)
		assert.True(t, id.ByMAC && id.ByLabel, id)
		assert.Equal(t, p.Units[n].MAC, id.MAC)
		assert.NoError(t, b.Witness(t.Context()))
		assert.NoError(t, b.Check(t.Context()))
		assert.Nil(t, b.Probes.Link, "the cable is the other's, too")
		assert.Nil(t, b.Probes.Time)
	}
	require.NotNil(t, first.proof)
	assert.True(t, first.Prove(t.Context()).Sound)

	told := apart(t, both)
	assert.False(t, told[0].DataReceived, "%+v", told[0])
	assert.NotEmpty(t, told[0].Alert)
	assert.True(t, told[1].DataReceived, "%+v", told[1])
	require.Eventually(t, func() bool { return first.leaseOf(strangerMAC) != "" }, 20*time.Second, 10*time.Millisecond)
	require.Len(t, first.Strangers(), 1, "%v", first.Strangers())
	assert.Regexp(t, strangerMAC+` \(10\.77\.0\.10[23]\)`, first.Strangers()[0].String(), "the known-good device is none")
	attributed(t, both, plugs)

	require.NoError(t, second.Close())
	assert.True(t, first.Capture.Stats().Running)
	require.NoError(t, first.Close())
	assert.Equal(t, first.CaptureFile, second.CaptureFile)
	files, err := filepath.Glob(filepath.Join(o.Dir, "*.pcapng"))
	require.NoError(t, err)
	assert.Len(t, files, 1)
	assert.NotContains(t, said(t, "ip", "-4", "addr", "show", "eth1"), "inet")
	assert.Zero(t, first.Capture.Stats().Dropped)
}

// apart confronts one unit after the other with an impostor, and looks at what the one that nobody asks does meanwhile.
func apart(t *testing.T, both []*Bench) (told []impostor.Facts) {
	t.Helper()
	for n, b := range both {
		quiet := both[1-n]
		var before []probes.Call
		require.Eventually(t, func() bool {
			var err error
			before, err = quiet.Probes.Interceptor.Calls(t.Context(), probes.ViaMQTTS)
			return err == nil && len(before) > 0 && before[len(before)-1].Bytes > 0 && !before[len(before)-1].Ended
		}, 20*time.Second, 10*time.Millisecond, "it is at its cloud")
		f := ask[impostor.Facts](t, b, impostor.Kind(), map[string]any{"via": probes.ViaMQTTS, "scenario": string(probes.UnknownCA), "tries": 1})
		assert.True(t, f.Called && f.GenuineBefore && f.GenuineAfter, "controls of unit %d: %+v", n+1, f)
		told = append(told, f)
		after, err := quiet.Probes.Interceptor.Calls(t.Context(), probes.ViaMQTTS)
		require.NoError(t, err)
		require.NotEmpty(t, after)
		assert.Len(t, after, len(before), "the other is not hung up on")
		assert.False(t, after[len(after)-1].Ended)
		for _, c := range after {
			if n == 0 {
				assert.Equal(t, probes.Genuine, c.Scenario)
			}
		}
	}
	return told
}

// attributed has each unit and the stranger say who it is, and wants every word in the windows of the one that said it,
// though all of them are in one capture.
func attributed(t *testing.T, both []*Bench, plugs []*plugged) {
	t.Helper()
	from, err := both[0].Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	for n, p := range plugs {
		p.must("bash", "-c", fmt.Sprintf("echo said-by-%d >/dev/udp/10.77.0.1/9", n))
	}
	to, err := both[1].Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	for n, b := range both {
		w, err := b.Probes.Sniffer.Window(t.Context(), from, to)
		require.NoError(t, err)
		assert.True(t, w.Complete)
		var words []string
		for payload := range w.Payloads {
			if strings.HasPrefix(string(payload), "said-by-") {
				words = append(words, strings.TrimSpace(string(payload)))
			}
		}
		assert.Equal(t, []string{fmt.Sprintf("said-by-%d", n)}, words)
	}
}

// TestStrangersOfAGateway: a unit that never asked for an address is named, and of those who did the strangers alone.
func TestStrangersOfAGateway(t *testing.T) {
	d := &dossier.Dossier{Units: []dossier.Unit{{ID: "u1", MAC: "02:00:5e:00:53:07"}, {ID: "u2", MAC: "02:00:5E:00:53:08"}}}
	known, other := services.Lease{MAC: "02:00:5e:00:53:08"}, services.Lease{MAC: strangerMAC}
	err := noLease([]services.Lease{known, other}, d, d.Units[0].MAC, "eth1")
	require.ErrorIs(t, err, probes.ErrBench)
	require.ErrorContains(t, err, "the unit 02:00:5e:00:53:07 asked for no address on eth1")
	assert.Contains(t, hintOf(err), "no unit of the dossier: "+strangerMAC+". Is one")
	assert.NotContains(t, hintOf(err), known.MAC)
	err = noLease([]services.Lease{known}, d, d.Units[0].MAC, "eth1")
	assert.Contains(t, hintOf(err), "is it plugged into eth1")
}

// TestRoomOnAGateway: a network that is too small for the units of the dossier is refused before anything is built.
func TestRoomOnAGateway(t *testing.T) {
	units := func(n int) *dossier.Dossier { return &dossier.Dossier{Units: make([]dossier.Unit, n)} }
	f := &File{Name: "bench.yaml"}
	for _, c := range []struct {
		address string
		room    int
	}{{"10.77.0.1/28", 7}, {"10.77.0.9/28", 6}, {"10.77.0.14/28", 11}, {"10.77.0.1/24", 155}} {
		at := netip.MustParsePrefix(c.address)
		require.NoError(t, roomFor(units(c.room-1), f, at), c.address)
		err := roomFor(units(c.room), f, at)
		require.ErrorIs(t, err, ErrInput, c.address)
		require.ErrorContains(t, err, fmt.Sprintf("bench.yaml: address: the network of %s has %d addresses to lease, and the dossier has %d units", c.address, c.room, c.room))
	}
}

// TestSeveralUnitsOffer: what is meant for one unit and would be done to all is not offered, and the rest is.
func TestSeveralUnitsOffer(t *testing.T) {
	_, o := product(t, defaults())
	file := &File{Mode: ModeGateway, Interface: "eth1"}
	ids := []string{o.Dossier.Units[0].ID, o.Dossier.Units[1].ID}
	has, missing := OffersAll(ModeGateway, file, o.Dossier, ids)
	assert.Contains(t, has, probes.InstrumentInterceptor+"/mqtts/expired")
	assert.Contains(t, has, probes.InstrumentUpdates)
	for _, i := range has {
		assert.False(t, strings.HasPrefix(string(i), string(probes.InstrumentLink)) || i == probes.InstrumentTime, i)
	}
	assert.Equal(t, 1, count(missing, probes.InstrumentLink))
	assert.Equal(t, 1, count(missing, probes.InstrumentTime))
	has, _ = OffersAll(ModeGateway, file, o.Dossier, ids[:1])
	assert.Contains(t, has, probes.InstrumentLink)
	assert.Contains(t, has, probes.InstrumentTime)
}
