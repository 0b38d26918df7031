package scan

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/asn1"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/pion/dtls/v3"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

var home = netip.MustParseAddr("127.0.0.1")

// hasty is patience enough for this machine.
func hasty() Patience {
	short := []time.Duration{100 * time.Millisecond, time.Second}
	return Patience{TCP: short, UDP: short, Greeting: 400 * time.Millisecond, Quiet: 3 * time.Second, Control: time.Second}
}

// serve answers every TCP connection in a way and returns the port.
func serve(t *testing.T, talk func(conn net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var talks sync.WaitGroup
	talks.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				talk(conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); talks.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

// says greets and then listens until the other side is gone.
func says(words string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, words)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// hush tells whether the other side says nothing for a time.
func hush(conn net.Conn, d time.Duration) bool {
	_ = conn.SetReadDeadline(time.Now().Add(d))
	_, err := conn.Read(make([]byte, 1))
	_ = conn.SetReadDeadline(time.Time{})
	return timedOut(err)
}

// one scans a single TCP port.
func one(t *testing.T, port int) probes.Scan {
	t.Helper()
	s := Scanner{Target: home, Controls: []int{port}, Patience: hasty()}
	out, err := s.Scan(t.Context(), probes.ScanRequest{First: port, Last: port})
	require.NoError(t, err)
	assert.True(t, out.Complete)
	assert.Equal(t, 1, out.Tried)
	return out
}

func TestSpeech(t *testing.T) {
	certificate := selfSigned(t)
	mqtt := func(conn net.Conn) {
		header := make([]byte, 2)
		if _, err := io.ReadFull(conn, header); err != nil || header[0] != 0x10 {
			return
		}
		body := make([]byte, header[1])
		if _, err := io.ReadFull(conn, body); err == nil && string(body[2:6]) == "MQTT" {
			_, _ = conn.Write([]byte{0x20, 2, 0, 5}) // not authorised is an answer too
		}
	}
	web := func(conn net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil && r.Method == http.MethodGet {
			_, _ = io.WriteString(conn, "HTTP/1.0 404 Not Found\r\n\r\n")
		}
	}
	for _, c := range []struct {
		want probes.Speech
		talk func(net.Conn)
	}{
		{probes.SpeaksTelnet, says("\xff\xfb\x01\xff\xfb\x03\r\nlogin: ")},
		{probes.SpeaksTelnet, says("Example OS 1.0\r\nthermostat login: ")},
		{probes.SpeaksTelnet, says("\r\nBroadband Router\r\nUser Name : ")},
		{probes.SpeaksTelnet, says("Account:")},
		{probes.SpeaksTelnet, says("Enter password> ")},
		{probes.SpeaksUnknown, says("user 17 of 20: busy\r\n")},
		{probes.SpeaksTelnet, func(conn net.Conn) { // line by line
			for _, words := range []string{"\r\n", "Broadband Router\r\n", "Firmware 1.0\r\n", "Login: "} {
				_, _ = io.WriteString(conn, words)
				hush(conn, 50*time.Millisecond)
			}
			_, _ = io.Copy(io.Discard, conn)
		}},
		{probes.SpeaksTelnet, func(conn net.Conn) { // it looks up who calls, and hangs up on whoever speaks before it is asked
			if hush(conn, 900*time.Millisecond) {
				says("login: ")(conn)
			}
		}},
		{probes.SpeaksSSH, says("SSH-2.0-dropbear_2022.83\r\n")},
		{probes.SpeaksFTP, says("220 (vsFTPd 3.0.3)\r\n")},
		{probes.SpeaksSMTP, says("220 mail.example ESMTP\r\n")},
		{probes.SpeaksVNC, says("RFB 003.008\n")},
		{probes.SpeaksTLS, func(conn net.Conn) {
			_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
			_, _ = io.Copy(io.Discard, conn)
		}},
		{probes.SpeaksHTTP, web},
		{probes.SpeaksMQTT, mqtt},
		{probes.SpeaksUnknown, says("")},
		{probes.SpeaksUnknown, func(net.Conn) {}},
		{probes.SpeaksUnknown, says("\x00\x01\x02")},
	} {
		t.Run(string(c.want), func(t *testing.T) {
			t.Parallel()
			port := serve(t, c.talk)
			out := one(t, port)
			assert.Equal(t, []probes.Port{{Number: port, State: probes.PortOpen, Speaks: c.want}}, out.TCP)
			assert.True(t, out.AliveBefore && out.AliveAfter)
		})
	}
}

func TestClosed(t *testing.T) {
	out := one(t, 20_000+rand.IntN(12_000)) // where the kernel puts nobody
	assert.Empty(t, out.TCP)
	assert.Zero(t, out.Silent)
	assert.True(t, out.AliveBefore && out.AliveAfter, "a device that says no is there")
}

// A device that sleeps answers later than any try waits for it, its control port too. Its silence is none: it is tried as
// long as the control may take.
func TestSleepy(t *testing.T) {
	port, awake := serve(t, says("220 ftp ready\r\n")), serve(t, says("220 ftp ready\r\n"))
	late := hasty()
	late.TCP = []time.Duration{time.Nanosecond, time.Nanosecond} // as if everything took longer
	s := Scanner{Target: home, Controls: []int{awake}, Patience: late}
	out, err := s.Scan(t.Context(), probes.ScanRequest{First: port, Last: port})
	require.NoError(t, err)
	assert.Equal(t, []probes.Port{{Number: port, State: probes.PortOpen, Speaks: probes.SpeaksFTP}}, out.TCP)
	assert.True(t, out.Complete)

	// Where the control does not answer in time either, nothing is settled.
	k := &knocker{target: home, patience: late}
	k.patience.Control = time.Nanosecond
	heard, err := k.tcp(t.Context(), probes.ScanRequest{First: port, Last: port}, &control{k, awake, probes.PortOpen})
	require.NoError(t, err)
	assert.Equal(t, hearing{silent: 1}, heard)
}

// A range is tried whole, at the rate, and its open ports come in order.
func TestRange(t *testing.T) {
	var want []int
	low, high := 65535, 1
	for range 3 {
		port := serve(t, says(""))
		want, low, high = append(want, port), min(low, port), max(high, port)
	}
	s := Scanner{Target: home, Patience: hasty(), Rate: 200_000}
	out, err := s.Scan(t.Context(), probes.ScanRequest{First: low, Last: high})
	require.NoError(t, err)
	var got []int
	for _, p := range out.TCP {
		got = append(got, p.Number)
	}
	assert.Subset(t, got, want)
	assert.IsNonDecreasing(t, got)
	assert.Equal(t, high-low+1, out.Tried)

	begun := time.Now()
	_, err = s.Scan(t.Context(), probes.ScanRequest{First: 1, Last: 100, Rate: 200})
	require.NoError(t, err)
	assert.Greater(t, time.Since(begun), 400*time.Millisecond, "100 ports at 200 a second")
}

func TestUselessRequests(t *testing.T) {
	s := Scanner{Target: home}
	for _, r := range []probes.ScanRequest{{}, {First: 2, Last: 1}, {First: 1, Last: 65536}, {First: 1, Last: 1, Rate: -1}} {
		_, err := s.Scan(t.Context(), r)
		assert.ErrorIs(t, err, probes.ErrBench)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Scan(ctx, probes.ScanRequest{First: 1, Last: 65535, UDP: true})
	assert.ErrorIs(t, err, context.Canceled)
}

// Who hangs in the middle of a scan is not waited for.
func TestCancelled(t *testing.T) {
	port := serve(t, says(""))
	s := Scanner{Target: home, Patience: Patience{TCP: hasty().TCP, UDP: []time.Duration{time.Minute}, Greeting: time.Minute, Control: time.Second}}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := s.Scan(ctx, probes.ScanRequest{First: port, Last: port, UDP: true})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(begun), 10*time.Second)
}

// datagrams answers what a service would and returns its port.
func datagrams(t *testing.T, answer func(asked []byte) []byte) int {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	var loop sync.WaitGroup
	loop.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				if said := answer(b[:n]); said != nil {
					_, _ = conn.WriteTo(said, from)
				}
			}
		}
	})
	t.Cleanup(func() { conn.Close(); loop.Wait() })
	return conn.LocalAddr().(*net.UDPAddr).Port
}

func TestUDP(t *testing.T) {
	answers := func(if_ func(asked []byte) bool) func([]byte) []byte {
		return func(asked []byte) []byte {
			if if_(asked) {
				return []byte("yes")
			}
			return nil
		}
	}
	question := func(class string) func([]byte) bool {
		return func(asked []byte) bool {
			var m dns.Msg
			return m.Unpack(asked) == nil && len(m.Question) == 1 && m.Question[0].Name == class
		}
	}
	coap := func(asked []byte) bool {
		m := pool.NewMessage(t.Context())
		_, err := m.UnmarshalWithDecoder(coder.DefaultCoder, asked)
		path, perr := m.Path()
		return err == nil && perr == nil && m.Code() == codes.GET && path == "/.well-known/core"
	}
	snmp := func(asked []byte) bool {
		var whole asn1.RawValue
		rest, err := asn1.Unmarshal(asked, &whole)
		return err == nil && len(rest) == 0 && whole.IsCompound
	}
	for application, c := range map[string]struct {
		answers func(asked []byte) bool
		speaks  probes.Speech
	}{
		"coap": {coap, probes.SpeaksCoAP},
		"dns":  {question("assay.invalid."), probes.SpeaksDNS},
		"mdns": {question("_services._dns-sd._udp.local."), probes.SpeaksMDNS},
		"ntp":  {func(b []byte) bool { return len(b) == 48 && b[0] == 0x23 }, probes.SpeaksNTP},
		"snmp": {snmp, probes.SpeaksSNMP},
		"ssdp": {func(b []byte) bool { return strings.HasPrefix(string(b), "M-SEARCH * HTTP/1.1\r\n") }, probes.SpeaksSSDP},
		"tftp": {func(b []byte) bool { return strings.HasSuffix(string(b), "\x00octet\x00") }, probes.SpeaksTFTP},
		"":     {func(b []byte) bool { return len(b) == 0 }, probes.SpeaksUnknown},
	} {
		t.Run(application, func(t *testing.T) {
			t.Parallel()
			port := datagrams(t, answers(c.answers))
			got := asked(t, Socket{Port: port, Application: application})
			assert.Equal(t, probes.Port{Number: port, State: probes.PortOpen, Speaks: c.speaks}, got)
		})
	}
	t.Run("silent", func(t *testing.T) {
		t.Parallel()
		port := datagrams(t, func([]byte) []byte { return nil })
		assert.Equal(t, probes.PortSilent, asked(t, Socket{Port: port, Application: "coap"}).State)
	})
	t.Run("answers from elsewhere", func(t *testing.T) {
		t.Parallel()
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		defer conn.Close()
		port := 0
		{
			l, err := net.ListenPacket("udp", "127.0.0.1:0")
			require.NoError(t, err)
			port = l.LocalAddr().(*net.UDPAddr).Port
			var loop sync.WaitGroup
			loop.Go(func() {
				b := make([]byte, 512)
				for {
					_, from, err := l.ReadFrom(b)
					if errors.Is(err, net.ErrClosed) {
						return
					}
					if err == nil {
						_, _ = conn.WriteTo([]byte("\x00\x05\x00\x01no\x00"), from)
					}
				}
			})
			defer loop.Wait()
			defer l.Close()
		}
		assert.Equal(t, probes.PortOpen, asked(t, Socket{Port: port, Application: "tftp"}).State)
	})
	t.Run("dtls", func(t *testing.T) {
		t.Parallel()
		l, err := dtls.ListenWithOptions("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)},
			dtls.WithPSK(func([]byte) ([]byte, error) { return []byte("key"), nil }), dtls.WithCipherSuites(dtls.TLS_PSK_WITH_AES_128_CCM_8))
		require.NoError(t, err)
		var loop sync.WaitGroup
		loop.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				loop.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
					defer cancel()
					_ = conn.(*dtls.Conn).HandshakeContext(ctx)
					_ = conn.Close()
				})
			}
		})
		defer loop.Wait()
		defer l.Close()
		port := l.Addr().(*net.UDPAddr).Port
		assert.Equal(t, probes.Port{Number: port, State: probes.PortOpen, Speaks: probes.SpeaksDTLS}, asked(t, Socket{Port: port, Application: "coaps"}))
	})
}

// asked returns what became of one UDP port.
func asked(t *testing.T, s Socket) probes.Port {
	t.Helper()
	k := &knocker{target: home, patience: hasty()}
	for _, q := range questions([]Socket{s}) {
		if q.port == s.Port {
			port, err := k.ask(t.Context(), q)
			require.NoError(t, err)
			return port
		}
	}
	require.Fail(t, "not asked")
	return probes.Port{}
}

func TestQuestions(t *testing.T) {
	usual := questions(nil)
	require.Len(t, usual, 8)
	mine := questions([]Socket{{5683, "dns"}, {5353, "something"}, {40000, ""}, {0, "dns"}})
	require.Len(t, mine, 9)
	for _, q := range furtherQuestions(nil) {
		assert.NotEmpty(t, q.words, q.port)
		assert.False(t, slices.ContainsFunc(usual, func(u question) bool { return u.port == q.port }), "%d is asked already", q.port)
	}
	assert.Len(t, furtherQuestions([]question{{port: 3702}}), len(furtherQuestions(nil))-1, "what is declared is asked as declared")
	speaks := map[int]probes.Speech{}
	for _, q := range mine {
		speaks[q.port] = q.speaks
		assert.NotEmpty(t, q.words, q.port)
	}
	assert.Equal(t, probes.SpeaksDNS, speaks[5683], "what the dossier says counts")
	assert.Equal(t, probes.SpeaksMDNS, speaks[5353], "where it says nothing that the bench knows, the port counts")
	assert.Equal(t, probes.SpeaksUnknown, speaks[40000])
}

func FuzzRecognise(f *testing.F) {
	for _, s := range []string{"SSH-2.0-x", "\xff\xfb\x01", "\x16\x03\x01\x00\x05", "\x20\x02\x00\x00", "220 ESMTP", "HTTP/1.1 200 OK", "login: ", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, heard []byte) {
		assert.NotEmpty(t, Recognise(heard))
	})
}
