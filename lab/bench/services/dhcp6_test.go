package services

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func dhcp6ForTest(now func() time.Time) *DHCP6 {
	return newDHCP6(DHCP6Options{
		Server: netip.MustParseAddr("fd77::1"), MAC: mac(9), Prefix: netip.MustParsePrefix("fd77::/64"), Addresses: true, Spare: 2,
		Lease: time.Minute, Domain: "lab.example", Now: now,
	})
}

func exchange6(t *testing.T, d *DHCP6, m *dhcpv6.Message) *dhcpv6.Message {
	t.Helper()
	_, out := d.answer(&net.UDPAddr{}, m.ToBytes())
	if out == nil {
		return nil
	}
	r, err := dhcpv6.MessageFromBytes(out)
	require.NoError(t, err)
	return r
}

func TestDHCP6LeasesAndReusesWhatNobodyHolds(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := dhcp6ForTest(func() time.Time { return now })
	for last, want := range map[byte]bool{1: true, 2: true} {
		solicit, err := dhcpv6.NewSolicit(mac(last))
		require.NoError(t, err)
		offer := exchange6(t, d, solicit)
		require.NotNil(t, offer)
		assert.Equal(t, dhcpv6.MessageTypeAdvertise, offer.MessageType)
		request, err := dhcpv6.NewRequestFromAdvertise(offer)
		require.NoError(t, err)
		reply := exchange6(t, d, request)
		require.NotNil(t, reply)
		assert.Equal(t, want, reply.Options.OneIANA().Options.OneAddress() != nil)
		assert.Equal(t, "fd77::1", reply.Options.DNS()[0].String())
		assert.Equal(t, time.Minute, reply.Options.OneIANA().Options.OneAddress().ValidLifetime)
	}
	solicit, err := dhcpv6.NewSolicit(mac(3))
	require.NoError(t, err)
	offer := exchange6(t, d, solicit)
	assert.Equal(t, iana.StatusNoAddrsAvail, offer.Options.OneIANA().Options.Status().StatusCode, "no address is left")
	now = now.Add(2 * time.Minute)
	offer = exchange6(t, d, solicit)
	assert.NotNil(t, offer.Options.OneIANA().Options.OneAddress(), "one has run out")
	assert.Len(t, d.given, 2)

	stranger, err := dhcpv6.NewRequestFromAdvertise(offer, dhcpv6.WithServerID(&dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: mac(8)}))
	require.NoError(t, err)
	assert.Nil(t, exchange6(t, d, stranger), "another server was meant")
}

func FuzzDHCP6(f *testing.F) {
	m, err := dhcpv6.NewSolicit(mac(1))
	require.NoError(f, err)
	f.Add(m.ToBytes())
	m.MessageType = dhcpv6.MessageTypeRebind
	f.Add(m.ToBytes())
	f.Add([]byte{1, 1, 6})
	d := dhcp6ForTest(time.Now)
	f.Fuzz(func(t *testing.T, in []byte) {
		_, out := d.answer(nil, in)
		if out != nil {
			_, err := dhcpv6.MessageFromBytes(out)
			require.NoError(t, err)
		}
		require.LessOrEqual(t, len(d.given), 2)
	})
}
