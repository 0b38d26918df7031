package bench

import (
	"net/netip"
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
