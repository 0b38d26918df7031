package bench

import (
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"

	"assay/lab/bench/segment"
	"assay/lab/capture"
	"assay/probes"
)

var roundTrip = regexp.MustCompile(`seq=(\d+) ttl=\d+ time=([0-9.]+) ms`)

// pings lets the device ask and tells how long each answer took, in milliseconds and in order.
func pings(t *testing.T, device *plugged, count int) []float64 {
	t.Helper()
	said, _ := device.run("busybox", "ping", "-c", strconv.Itoa(count), "-i", "0.02", "-W", "2", "10.77.0.1")
	var took []float64
	last := -1
	for _, m := range roundTrip.FindAllStringSubmatch(said, -1) {
		seq, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		require.Greater(t, seq, last, "none overtakes another: %s", said)
		last = seq
		ms, err := strconv.ParseFloat(m[2], 64)
		require.NoError(t, err)
		took = append(took, ms)
	}
	return took
}

func median(of []float64) float64 {
	all := slices.Sorted(slices.Values(of))
	return all[len(all)/2]
}

// insideGatewaySlow measures a slow link from the device's side.
func insideGatewaySlow(t *testing.T) {
	noLeaks(t)
	if f := segment.LinkFeatures(); f.Delay != nil {
		t.Skip("needs nft_fwd_netdev: " + f.Delay.Error())
	}
	b, device, o := gatewayWithClient(t, "ipv6: {slaac: true}\n")
	l := b.Probes.Link
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{}))
	quick := pings(t, device, 50)
	require.Len(t, quick, 50)
	for _, delay := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond} {
		require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: delay}))
		took := pings(t, device, 100)
		require.Len(t, took, 100, "nothing is lost")
		ms := float64(delay) / float64(time.Millisecond)
		t.Logf("%s asked: %.3f ms at least, %.3f ms median, %.3f ms at most", delay, slices.Min(took), median(took), slices.Max(took))
		assert.GreaterOrEqual(t, slices.Min(took), ms, "never less")
		assert.Less(t, median(took), median(quick)+ms+3, "and seldom much more")
	}
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: 10 * time.Millisecond, Jitter: 30 * time.Millisecond}))
	took := pings(t, device, 100)
	require.Len(t, took, 100)
	t.Logf("10ms and up to 30ms more: %.3f ms at least, %.3f ms median, %.3f ms at most", slices.Min(took), median(took), slices.Max(took))
	assert.GreaterOrEqual(t, slices.Min(took), 10.0)
	assert.Less(t, slices.Min(took), 20.0, "it differs")
	assert.Greater(t, slices.Max(took), 25.0)

	// Bulk data gets through whole, and on a link that is lossy and narrow besides.
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: 20 * time.Millisecond}))
	_, whole := download(t, device)
	t.Logf("300 kB in %s at 20 ms", whole)
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: 20 * time.Millisecond, Loss: 20, Rate: 8_000_000}))
	took = pings(t, device, 200)
	assert.Greater(t, len(took), 90, "a frame that has waited is not lost a second time: 64 of 100 round trips are left")
	assert.Less(t, len(took), 165)
	assert.GreaterOrEqual(t, slices.Min(took), 20.0)

	// IPv6, too, and a cut in between.
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: 20 * time.Millisecond}))
	require.NoError(t, l.Cut(t.Context()))
	require.NoError(t, l.Restore(t.Context()))
	require.Eventually(t, func() bool {
		_, err := device.run("busybox", "ping", "-6", "-c", "1", "-W", "1", "fd77:a55a:7700::1")
		return err == nil
	}, 20*time.Second, 5*time.Millisecond)
	assert.Less(t, median(pings(t, device, 20)), 5.0, "restored, it is sound")
	_, err := netlink.LinkByName("assayd0")
	require.Error(t, err, "nothing of it stays")

	// What waits is in the capture once, when it went out.
	from, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	require.NoError(t, l.Degrade(t.Context(), probes.LinkConditions{Delay: 20 * time.Millisecond}))
	require.Len(t, pings(t, device, 10), 10)
	to, err := b.Probes.Sniffer.Mark(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.Close())
	echoes := 0
	for _, line := range described(t, o, from, to) {
		if line == "ICMP" {
			echoes++
		}
	}
	assert.Equal(t, 20, echoes, "ten questions and ten answers")
	_, err = netlink.LinkByName("assayd0")
	require.Error(t, err)
}

// described lists the protocols of a stretch of the capture.
func described(t *testing.T, o Options, from, to probes.Mark) []string {
	t.Helper()
	lines, err := capture.Describe(o.file("capture", ".pcapng"), from.Frame+1, to.Frame, 1000)
	require.NoError(t, err)
	var out []string
	for _, l := range lines {
		out = append(out, l.Protocol)
	}
	return out
}
