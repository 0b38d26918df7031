package drive

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

// clock is the bench's time in tests: the real one.
type clock struct{}

func (clock) Now() time.Time { return time.Now() }
func (clock) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	serial   = "T100-0001"
	password = "Wq7-kk&x/3=z"
)

func twoUnits() *dossier.Dossier {
	return &dossier.Dossier{
		Product: dossier.Product{Manufacturer: "Example", Model: "T-100"},
		Units: []dossier.Unit{
			{ID: "one", Serial: serial, MAC: "02:00:00:00:00:01", Logins: map[string]dossier.Login{
				"http": {Username: "admin", Password: dossier.NewSecret(password)},
			}},
			{ID: "two", Serial: "T100-0002", Logins: map[string]dossier.Login{
				"http": {Username: "admin", Password: dossier.NewSecret("other-unit-secret")},
				"coap": {Username: "T100-0002", Password: dossier.NewSecret("00ff")},
			}},
		},
		IXIT: dossier.IXIT{AuthMech: []dossier.AuthMech{{ID: "AuthMech-1", Interface: "http", LockoutAfter: 5, LockoutSeconds: 2}}},
	}
}

// driver makes a driver for one operation called "it"; change may alter its options.
func driver(t *testing.T, o dossier.Operation, change ...func(*Options)) *Driver {
	t.Helper()
	d := twoUnits()
	d.Operations = map[string]dossier.Operation{"it": o, "login-it": o}
	options := Options{
		Dossier: d, Unit: "one", Host: func() string { return "127.0.0.1" }, BenchAddress: "192.0.2.1", Clock: clock{},
	}
	for _, c := range change {
		c(&options)
	}
	driver, err := New(options)
	require.NoError(t, err)
	return driver
}

func steps(s ...dossier.Step) dossier.Operation { return dossier.Operation{Steps: s} }

// do expects an answer.
func do(t *testing.T, d *Driver, args probes.Args) probes.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	result, err := d.Do(ctx, "it", args)
	require.NoError(t, err)
	return result
}

// try carries out one step without arguments.
func try(t *testing.T, s dossier.Step) probes.Result {
	t.Helper()
	return do(t, driver(t, steps(s)), nil)
}

// tcp is a device whose every connection is handled by serve; it returns host:port.
func tcp(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// Devices that misbehave, by what they do once somebody has connected.
func hangs(c net.Conn)  { io.Copy(io.Discard, c) }
func closes(c net.Conn) { awaitByte(c) }
func resets(c net.Conn) { awaitByte(c); c.(*net.TCPConn).SetLinger(0) }
func says(words string) func(net.Conn) {
	return func(c net.Conn) { awaitByte(c); io.WriteString(c, words); io.Copy(io.Discard, c) }
}

func awaitByte(c net.Conn) { io.ReadFull(c, make([]byte, 1)) }

// closedPort is an address where nobody listens.
func closedPort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		// A connected socket keeps the port from everybody else and takes nothing but its
		// peer's datagrams: to all others the port is closed.
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		return c.LocalAddr().String()
	}
	for range 50 {
		if port := 20_000 + rand.IntN(12_000); free(port) {
			return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		}
	}
	t.Fatal("no free port")
	return ""
}

// free tells whether a port is nobody's over UDP and TCP. One below 32768 is not given by the kernel to clients and
// servers of other tests either.
func free(port int) bool {
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	u, udp := net.ListenPacket("udp", at)
	if udp == nil {
		u.Close()
	}
	l, tcp := net.Listen("tcp", at)
	if tcp == nil {
		l.Close()
	}
	return udp == nil && tcp == nil
}

// udp is a device that answers every datagram with reply's result, if there is any.
func udp(t *testing.T, reply func([]byte) []byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	go func() {
		buffer := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue // on some systems a peer's closed port comes up here
			}
			if answer := reply(buffer[:n]); answer != nil {
				c.WriteTo(answer, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

func garbage(n int) string { return strings.Repeat("\xfe\xdc", n/2) }

func contextWithin(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
