package services

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/beevik/ntp"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noLeaks fails a test that leaves goroutines behind. It is called first, so that it is checked last.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		now := runtime.NumGoroutine()
		for end := time.Now().Add(5 * time.Second); now > before && time.Now().Before(end); now = runtime.NumGoroutine() {
			time.Sleep(time.Millisecond)
		}
		if now > before {
			buf := make([]byte, 1<<20)
			t.Errorf("%d goroutines, %d before:\n%s", now, before, buf[:runtime.Stack(buf, true)])
		}
	})
}

func udp(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	return c
}

func tcp(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

// identity makes a self-signed certificate and the pool that trusts it.
func identity(t *testing.T, names ...string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

func TestNTPTellsTheBenchsTime(t *testing.T) {
	noLeaks(t)
	conn := udp(t)
	shift := 36 * time.Hour
	s := StartNTP(func() time.Time { return time.Now().Add(shift) }, conn)
	defer s.Close()
	answer, err := ntp.Query(conn.LocalAddr().String())
	require.NoError(t, err)
	require.NoError(t, answer.Validate())
	assert.InDelta(t, shift.Seconds(), answer.ClockOffset.Seconds(), 1)
	assert.EqualValues(t, 1, s.Counts().Answered)
	s.Shift(-shift)
	answer, err = ntp.Query(conn.LocalAddr().String())
	require.NoError(t, err)
	assert.InDelta(t, 0, answer.ClockOffset.Seconds(), 1)
}

func TestNTPDropsWhatIsNoRequest(t *testing.T) {
	for name, in := range map[string][]byte{
		"empty": {}, "short": make([]byte, 47), "server": append([]byte{4<<3 | 4}, make([]byte, 47)...),
		"version 0": append([]byte{3}, make([]byte, 47)...), "version 7": append([]byte{7<<3 | 3}, make([]byte, 47)...),
	} {
		assert.Nil(t, answerNTP(in, time.Now), name)
	}
}

func FuzzNTP(f *testing.F) {
	f.Add(append([]byte{4<<3 | 3}, make([]byte, 47)...))
	f.Add([]byte{0x1b})
	f.Fuzz(func(t *testing.T, in []byte) {
		out := answerNTP(in, time.Now)
		if out != nil {
			require.Len(t, out, ntpHeader)
			require.Equal(t, in[40:48], out[24:32])
		}
	})
}

func startDNS(t *testing.T) (*DNS, string) {
	t.Helper()
	conn := udp(t)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", conn.LocalAddr().String())
	for range 100 {
		if err == nil {
			break
		}
		conn.Close() // somebody has the port over TCP
		conn = udp(t)
		l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", conn.LocalAddr().String())
	}
	require.NoError(t, err)
	d, err := StartDNS(t.Context(), conn, l, DNSOptions{
		Hosts: []string{"cloud.thermostat.example"}, Address: netip.MustParseAddr("192.0.2.1"), Now: time.Now,
	})
	require.NoError(t, err)
	return d, conn.LocalAddr().String()
}

func TestDNSKnowsTheDossiersHostsAndNoOther(t *testing.T) {
	noLeaks(t)
	d, at := startDNS(t)
	defer d.Close()
	for _, c := range []struct {
		name    string
		kind    uint16
		rcode   int
		answers int
	}{
		{"cloud.thermostat.example.", dns.TypeA, dns.RcodeSuccess, 1},
		{"CLOUD.Thermostat.Example.", dns.TypeA, dns.RcodeSuccess, 1},
		{"cloud.thermostat.example.", dns.TypeAAAA, dns.RcodeSuccess, 0},
		{"elsewhere.example.", dns.TypeA, dns.RcodeNameError, 0},
		{"thermostat.example.", dns.TypeA, dns.RcodeNameError, 0},
	} {
		for _, network := range []string{"udp", "tcp"} {
			q := new(dns.Msg)
			q.SetQuestion(c.name, c.kind)
			r, _, err := (&dns.Client{Net: network, Timeout: 5 * time.Second}).Exchange(q, at)
			require.NoError(t, err)
			assert.Equal(t, c.rcode, r.Rcode, "%s over %s", c.name, network)
			require.Len(t, r.Answer, c.answers)
			if c.answers > 0 {
				assert.Equal(t, "192.0.2.1", r.Answer[0].(*dns.A).A.String())
			}
		}
	}
	asked := d.Queries()
	require.Len(t, asked, 10)
	assert.Equal(t, "cloud.thermostat.example", asked[0].Name)
	assert.True(t, asked[0].Known)
	assert.False(t, asked[9].Known)
}

func TestDNSLiesPinsAndAsksUpstream(t *testing.T) {
	noLeaks(t)
	up, upAt := startDNS(t)
	defer up.Close()
	conn := udp(t)
	d, err := StartDNS(t.Context(), conn, nil, DNSOptions{
		Hosts: []string{"own.example"}, Lie: []string{"*.vendor.example", "exact.example"}, Address: netip.MustParseAddr("10.77.0.1"),
		Pinned:   map[string][]netip.Addr{"Pinned.example": {netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")}},
		Upstream: upAt, Now: time.Now,
	})
	require.NoError(t, err)
	defer d.Close()
	for _, c := range []struct {
		name  string
		kind  uint16
		rcode int
		want  string
	}{
		{"own.example.", dns.TypeA, dns.RcodeSuccess, "10.77.0.1"},
		{"a.b.VENDOR.example.", dns.TypeA, dns.RcodeSuccess, "10.77.0.1"},
		{"exact.example.", dns.TypeA, dns.RcodeSuccess, "10.77.0.1"},
		{"pinned.example.", dns.TypeA, dns.RcodeSuccess, "203.0.113.7"},
		{"pinned.example.", dns.TypeAAAA, dns.RcodeSuccess, "2001:db8::7"},
		{"cloud.thermostat.example.", dns.TypeA, dns.RcodeSuccess, "192.0.2.1"}, // by way of the upstream
		{"vendor.example.", dns.TypeA, dns.RcodeNameError, ""},
		{"notexact.example.", dns.TypeA, dns.RcodeNameError, ""},
	} {
		q := new(dns.Msg)
		q.SetQuestion(c.name, c.kind)
		r, err := dns.ExchangeContext(t.Context(), q, conn.LocalAddr().String())
		require.NoError(t, err)
		assert.Equal(t, c.rcode, r.Rcode, c.name)
		if c.want == "" {
			assert.Empty(t, r.Answer, c.name)
			continue
		}
		require.Len(t, r.Answer, 1, c.name)
		assert.Contains(t, r.Answer[0].String(), c.want)
	}
	require.Len(t, up.Queries(), 3, "only what nobody here knows leaves")
	// "*" is every name.
	conn = udp(t)
	all, err := StartDNS(t.Context(), conn, nil, DNSOptions{Lie: []string{"*"}, Address: netip.MustParseAddr("10.77.0.1"), Now: time.Now})
	require.NoError(t, err)
	defer all.Close()
	q := new(dns.Msg)
	q.SetQuestion("whatever.example.", dns.TypeA)
	r, err := dns.ExchangeContext(t.Context(), q, conn.LocalAddr().String())
	require.NoError(t, err)
	require.Len(t, r.Answer, 1)
}

func TestDNSIsNotHeldUpByItsUpstream(t *testing.T) {
	noLeaks(t)
	silent := udp(t)
	defer silent.Close()
	conn := udp(t)
	d, err := StartDNS(t.Context(), conn, nil, DNSOptions{Hosts: []string{"own.example"}, Address: netip.MustParseAddr("10.77.0.1"), Upstream: silent.LocalAddr().String(), Now: time.Now})
	require.NoError(t, err)
	defer d.Close()
	c, err := net.Dial("udp", conn.LocalAddr().String())
	require.NoError(t, err)
	defer c.Close()
	for range 500 {
		q := new(dns.Msg)
		q.SetQuestion("elsewhere.example.", dns.TypeA)
		b, err := q.Pack()
		require.NoError(t, err)
		_, err = c.Write(b)
		require.NoError(t, err)
	}
	q := new(dns.Msg)
	q.SetQuestion("own.example.", dns.TypeA)
	// The flood may push the question itself out of the socket's buffer: whoever asks by UDP asks again.
	var r *dns.Msg
	for range 5 {
		if r, err = dns.ExchangeContext(t.Context(), q, conn.LocalAddr().String()); err == nil {
			break
		}
	}
	require.NoError(t, err)
	assert.Len(t, r.Answer, 1)
	assert.LessOrEqual(t, len(d.forward), dnsForwards)
}

func TestDNSCountsMalformedDatagrams(t *testing.T) {
	noLeaks(t)
	d, at := startDNS(t)
	defer d.Close()
	c, err := net.Dial("udp", at)
	require.NoError(t, err)
	defer c.Close()
	for _, junk := range []string{"\x00", strings.Repeat("\xff", 40), strings.Repeat("A", 500)} {
		_, err := c.Write([]byte(junk))
		require.NoError(t, err)
	}
	assert.Eventually(t, func() bool { return d.Counts().Dropped >= 1 }, 5*time.Second, 5*time.Millisecond)
	q := new(dns.Msg)
	q.SetQuestion("cloud.thermostat.example.", dns.TypeA)
	_, err = dns.ExchangeContext(t.Context(), q, at)
	require.NoError(t, err, "the server is still there")
}

func TestBoundedListenerHangsUpOnTheOneTooMany(t *testing.T) {
	noLeaks(t)
	l := bound(tcp(t), 1)
	accepted := make(chan net.Conn, 4)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(5*time.Second)))
		return c
	}
	first := dial()
	defer first.Close()
	held := <-accepted
	second := dial()
	defer second.Close()
	_, err := second.Read(make([]byte, 1))
	require.Error(t, err)
	require.NoError(t, held.Close())
	third := dial()
	defer third.Close()
	<-accepted
	require.NoError(t, l.Close())
	_, err = third.Read(make([]byte, 1))
	require.Error(t, err, "closing the listener hangs up")
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
