package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/lab/bench/scan"
	"assay/probes"
	"assay/profiles/dossier"
)

// What the dossier declares is where the scan looks for its control and what it asks over UDP.
func TestNewScanner(t *testing.T) {
	no := false
	d := &dossier.Dossier{IXIT: dossier.IXIT{LogIntf: []dossier.LogIntf{
		{ID: "a", Status: "enabled", Listens: []dossier.Socket{{Protocol: "tcp", Port: 8443}, {Protocol: "udp", Port: 5684, Application: "coaps"}}},
		{ID: "b", Status: "disabled", Listens: []dossier.Socket{{Protocol: "tcp", Port: 23}, {Protocol: "udp", Port: 69, Application: "tftp"}}},
		{ID: "c", Listens: []dossier.Socket{{Protocol: "tcp", Port: 80, Initialized: &no}, {Protocol: "tcp", Port: 8884}}},
	}}}
	s := newScanner(ModeAttached, func() string { return "192.0.2.100" }, d)
	assert.Equal(t, []int{8443, 8884}, s.controls)
	assert.Equal(t, []scan.Socket{{Port: 5684, Application: "coaps"}, {Port: 69, Application: "tftp"}}, s.udp, "what is said to be disabled is asked too")
	assert.Equal(t, rateAttached, s.rate)
}

// The ports of this machine are not the device's.
func TestScannerRefusesOwnAddresses(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", "0.0.0.0", "224.0.0.1", ""} {
		s := newScanner(ModeAttached, func() string { return host }, &dossier.Dossier{})
		_, err := s.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 1})
		require.ErrorIs(t, err, probes.ErrBench, host)
	}
	assert.NoError(t, foreign(netip.MustParseAddr("203.0.113.77")))
}

func TestOffersScanner(t *testing.T) {
	for _, mode := range []string{ModeReference, ModeAttached} {
		has, _ := Offers(mode, nil, &dossier.Dossier{})
		assert.Contains(t, has, probes.InstrumentScanner, mode)
	}
	has, missing := Offers(ModeReduced, nil, &dossier.Dossier{})
	assert.NotContains(t, has, probes.InstrumentScanner)
	assert.Contains(t, missing, Missing{
		Instrument: probes.InstrumentScanner,
		Because:    "on the reduced bench the device shares its address with this machine, and a port that answers may be anybody's", Mend: mendReduced,
	})
}

// What cannot be tried over IPv6 is told, and makes the scan incomplete; an address that nobody has any more does not.
func TestScannerOver6(t *testing.T) {
	mute, request := netip.MustParseAddr("fe80::2%lo"), probes.ScanRequest{First: 1, Last: 3}
	lo := netip.MustParseAddr("::1")
	listening, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("needs IPv6 on the loopback: " + err.Error())
	}
	defer listening.Close()
	port := listening.Addr().(*net.TCPAddr).Port
	quiet := netip.MustParseAddr("fe80::1%lo") // on the loopback there is no link: nobody is there
	for name, c := range map[string]struct {
		found     []netip.Addr
		lacks     string
		gone      bool
		addresses []string
		unscanned string
	}{
		"no address":            {nil, "", false, nil, ""},
		"one":                   {[]netip.Addr{lo}, "", false, []string{"::1"}, ""},
		"nobody can be asked":   {nil, "IPv6: no way", false, nil, "IPv6: no way"},
		"too many":              {[]netip.Addr{lo, lo, lo, lo, lo, lo, lo}, "", false, []string{"::1", "::1", "::1", "::1", "::1", "::1"}, "IPv6: the device has 7 addresses, 6 were scanned"},
		"one is gone":           {[]netip.Addr{quiet, lo}, "", true, []string{"::1"}, ""},
		"one says nothing":      {[]netip.Addr{quiet}, "", false, []string{"fe80::1%lo"}, "fe80::1%lo: 3 ports stayed silent"},
		"one is walled off":     {[]netip.Addr{quiet}, "", false, []string{"fe80::1%lo"}, ""},
		"some, and one unknown": {[]netip.Addr{lo}, "IPv6: and more", false, []string{"::1"}, "IPv6: and more"},
	} {
		t.Run(name, func(t *testing.T) {
			own := mute
			if name == "one is walled off" {
				own = lo // which answers meanwhile
			}
			s := &scanner{
				rate: rateReference, controls: []int{port},
				others: func(_ context.Context, at netip.Addr) ([]netip.Addr, string, error) {
					assert.Equal(t, own, at)
					return c.found, c.lacks, nil
				},
				gone: func(context.Context, netip.Addr) bool { return c.gone },
			}
			out := probes.Scan{Complete: true, AliveBefore: true, AliveAfter: true}
			require.NoError(t, s.over6(t.Context(), request, own, &out))
			assert.Equal(t, c.addresses, out.Addresses)
			assert.Contains(t, strings.Join(out.Unscanned, "; "), c.unscanned)
			assert.Equal(t, c.unscanned == "", out.Complete)
			assert.Equal(t, c.unscanned == "", len(out.Unscanned) == 0)
		})
	}
	broken := &scanner{others: func(context.Context, netip.Addr) ([]netip.Addr, string, error) { return nil, "", errors.New("on fire") }}
	require.ErrorIs(t, broken.over6(t.Context(), request, mute, &probes.Scan{}), probes.ErrBench)
}
