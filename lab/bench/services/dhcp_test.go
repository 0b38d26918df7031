package services

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func dhcpForTest() *DHCP {
	return newDHCP(DHCPOptions{
		Server: netip.MustParsePrefix("192.0.2.1/24"), Static: []string{"02:00:00:00:00:01", "", "02:00:00:00:00:02"},
		First: netip.MustParseAddr("192.0.2.100"), Spare: 2, Lease: time.Hour, Now: time.Now,
	})
}

func mac(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }

// exchange sends one message and parses the answer; nil for silence.
func exchange(t *testing.T, d *DHCP, m *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	t.Helper()
	_, out := d.answer(nil, m.ToBytes())
	if out == nil {
		return nil
	}
	r, err := dhcpv4.FromBytes(out)
	require.NoError(t, err)
	return r
}

func TestDHCPLeasesByOrderOfDeclaration(t *testing.T) {
	d := dhcpForTest()
	for last, want := range map[byte]string{1: "192.0.2.100", 2: "192.0.2.101"} {
		discover, err := dhcpv4.NewDiscovery(mac(last))
		require.NoError(t, err)
		offer := exchange(t, d, discover)
		require.NotNil(t, offer)
		assert.Equal(t, dhcpv4.MessageTypeOffer, offer.MessageType())
		assert.Equal(t, want, offer.YourIPAddr.String())
		assert.Equal(t, "192.0.2.1", offer.Router()[0].String())
		assert.Equal(t, "192.0.2.1", offer.DNS()[0].String())
		assert.Equal(t, "192.0.2.1", offer.NTPServers()[0].String())
		assert.Equal(t, "ffffff00", offer.SubnetMask().String())

		request, err := dhcpv4.NewRequestFromOffer(offer, dhcpv4.WithOption(dhcpv4.OptHostName("thermostat")))
		require.NoError(t, err)
		ack := exchange(t, d, request)
		require.NotNil(t, ack)
		assert.Equal(t, dhcpv4.MessageTypeAck, ack.MessageType())
		assert.Equal(t, time.Hour, ack.IPAddressLeaseTime(0))
		l, ok := d.Lease(mac(last).String())
		require.True(t, ok)
		assert.Equal(t, want, l.Address.String())
		assert.Equal(t, "thermostat", l.HostName)
	}
	assert.Len(t, d.Leases(), 2)
	d.Forget(mac(1).String())
	_, ok := d.Lease(mac(1).String())
	assert.False(t, ok)
}

func TestDHCPRefusesAndIgnores(t *testing.T) {
	d := dhcpForTest()
	request := func(last byte, mods ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
		m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(mac(last)), dhcpv4.WithMessageType(dhcpv4.MessageTypeRequest)}, mods...)...)
		require.NoError(t, err)
		return m
	}
	other := exchange(t, d, request(1, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(192, 0, 2, 9)))))
	assert.Nil(t, other, "another server's offer was taken")
	wrong := exchange(t, d, request(1, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 0, 0, 1)))))
	require.NotNil(t, wrong)
	assert.Equal(t, dhcpv4.MessageTypeNak, wrong.MessageType())
	assert.Empty(t, d.Leases())

	for last := byte(10); last < 12; last++ {
		m, err := dhcpv4.NewDiscovery(mac(last))
		require.NoError(t, err)
		require.NotNil(t, exchange(t, d, m), "a spare address")
	}
	m, err := dhcpv4.NewDiscovery(mac(12))
	require.NoError(t, err)
	assert.Nil(t, exchange(t, d, m), "no spare address is left")
}

func TestDHCPFloodCostsTheFlooderOnly(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	d := dhcpForTest()
	d.o.Now = func() time.Time { return now }
	for i := range 10_000 {
		m, err := dhcpv4.NewDiscovery(net.HardwareAddr{2, 9, 9, 9, byte(i >> 8), byte(i)})
		require.NoError(t, err)
		exchange(t, d, m)
	}
	assert.Len(t, d.given, 4, "two declared, two spare")
	m, err := dhcpv4.NewDiscovery(mac(2))
	require.NoError(t, err)
	offer := exchange(t, d, m)
	require.NotNil(t, offer, "a declared one has its address")
	assert.Equal(t, "192.0.2.101", offer.YourIPAddr.String())
	other, err := dhcpv4.NewDiscovery(mac(77))
	require.NoError(t, err)
	assert.Nil(t, exchange(t, d, other))
	now = now.Add(time.Minute)
	assert.NotNil(t, exchange(t, d, other), "offers that nobody took are given to the next")
	assert.Len(t, d.given, 4)
}

func TestDHCPFirstServerFallsSilentAndTheSecondAnswers(t *testing.T) {
	d := dhcpForTest()
	first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	everybody := netip.MustParseAddr("255.255.255.255")
	d.o.Second = second
	ask := func(m *dhcpv4.DHCPv4, at netip.Addr) *dhcpv4.DHCPv4 {
		_, out := d.answer(arrival{&net.UDPAddr{}, at}, m.ToBytes())
		if out == nil {
			return nil
		}
		r, err := dhcpv4.FromBytes(out)
		require.NoError(t, err)
		return r
	}
	discover, err := dhcpv4.NewDiscovery(mac(1))
	require.NoError(t, err)
	offer := ask(discover, everybody)
	require.Equal(t, "192.0.2.1", offer.ServerIdentifier().String())
	request, err := dhcpv4.NewRequestFromOffer(offer)
	require.NoError(t, err)
	ack := ask(request, everybody)
	require.Equal(t, dhcpv4.MessageTypeAck, ack.MessageType())
	assert.NotNil(t, ask(request, everybody), "its answer may have been lost")
	renew, err := dhcpv4.NewRenewFromAck(ack)
	require.NoError(t, err)
	assert.Nil(t, ask(renew, first), "T1: silence")
	rebound := ask(renew, everybody)
	require.NotNil(t, rebound, "T2: the second answers")
	assert.Equal(t, "192.0.2.2", rebound.ServerIdentifier().String())
	assert.Equal(t, "192.0.2.100", rebound.YourIPAddr.String())
	assert.Equal(t, "192.0.2.1", rebound.Router()[0].String(), "the router is still the bench")
	again, err := dhcpv4.NewRenewFromAck(rebound)
	require.NoError(t, err)
	require.NotNil(t, ask(again, second))
	l, ok := d.Lease(mac(1).String())
	require.True(t, ok)
	assert.Equal(t, second, l.Server)
}

func FuzzDHCP(f *testing.F) {
	m, err := dhcpv4.NewDiscovery(mac(1))
	require.NoError(f, err)
	f.Add(m.ToBytes())
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeRequest))
	m.UpdateOption(dhcpv4.OptRequestedIPAddress(net.IPv4(192, 0, 2, 100)))
	f.Add(m.ToBytes())
	f.Add([]byte{1, 1, 6})
	d := dhcpForTest()
	f.Fuzz(func(t *testing.T, in []byte) {
		_, out := d.answer(nil, in)
		if out != nil {
			r, err := dhcpv4.FromBytes(out)
			require.NoError(t, err)
			require.Equal(t, dhcpv4.OpcodeBootReply, r.OpCode)
		}
		require.LessOrEqual(t, len(d.leases), 4)
	})
}
