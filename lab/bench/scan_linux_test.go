package bench

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/bench/scan"
	"assay/lab/bench/segment"
	"assay/lab/refdevice"
	"assay/probes"
)

// insideScan knocks at every port of a reference device, and then has its cable pulled.
func insideScan(t *testing.T) {
	noLeaks(t)
	_, o := product(t, refdevice.ManufactureOptions{Flaws: []string{"hidden-telnet-ipv6", "open-coap"}})
	b, err := Reference(t.Context(), o)
	require.NoError(t, err)
	defer b.Close()

	begun := time.Now()
	got, err := b.Probes.Scanner.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 65535, UDP: true})
	require.NoError(t, err)
	t.Logf("65535 ports in %v", time.Since(begun))
	assert.Equal(t, []probes.Port{
		{Number: 2323, State: probes.PortOpen, Speaks: probes.SpeaksTelnet, Only6: true},
		{Number: 8443, State: probes.PortOpen, Speaks: probes.SpeaksTLS},
		{Number: 8884, State: probes.PortOpen, Speaks: probes.SpeaksTLS},
	}, got.TCP)
	assert.True(t, got.Complete && got.AliveBefore && got.AliveAfter, "%+v", got)
	assert.Equal(t, 65535, got.Tried)
	assert.Zero(t, got.Silent)
	require.Len(t, got.Addresses, 2, "%v", got)
	assert.Equal(t, b.Host(), got.Addresses[0])
	assert.Regexp(t, `^fe80::.*%br0$`, got.Addresses[1])
	assert.Empty(t, got.Unscanned)
	var answering []int
	for _, p := range got.UDP {
		if p.State == probes.PortOpen {
			answering = append(answering, p.Number)
		}
	}
	assert.Equal(t, []int{5683, 5684}, answering)
	assert.True(t, b.Healthy(t.Context()), "it has borne it")
	mark, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	assert.Greater(t, mark.Frame, uint64(2*65535), "each try and its answer are on record")

	// The device has IPv6 and the bench none: what listens there cannot be known.
	require.NoError(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+segment.Bridge+"/disable_ipv6", []byte("1"), 0o600))
	got, err = b.Probes.Scanner.Scan(t.Context(), probes.ScanRequest{First: 8443, Last: 8443})
	require.NoError(t, err)
	assert.False(t, got.Complete)
	require.Len(t, got.Unscanned, 1)
	assert.Contains(t, got.Unscanned[0], "br0 has no IPv6 address")
	assert.Equal(t, []string{b.Host()}, got.Addresses)

	// Without the cable nothing answers, and that is no finding about the device.
	link, err := netlink.LinkByName(segment.BenchEnd)
	require.NoError(t, err)
	short := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond}
	s := scan.Scanner{
		Target: netip.MustParseAddr(b.Host()), Controls: []int{8443}, Rate: 1000,
		Patience: scan.Patience{TCP: short, UDP: short, Greeting: short[1], Control: time.Second},
	}
	pull := time.AfterFunc(300*time.Millisecond, func() { _ = netlink.LinkSetDown(link) })
	defer pull.Stop()
	got, err = s.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 1500})
	require.NoError(t, err)
	assert.True(t, got.AliveBefore)
	assert.False(t, got.AliveAfter)
	assert.False(t, got.Complete)
	assert.NotZero(t, got.Silent)
	got, err = s.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 10})
	require.NoError(t, err)
	assert.False(t, got.AliveBefore || got.AliveAfter || got.Complete)
	assert.Empty(t, got.TCP)
}
