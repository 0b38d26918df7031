package refdevice

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/mux"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
	"github.com/stretchr/testify/require"

	"assay/lab/mqttdoor"
)

// patience bounds every wait of these tests; a good one ends long before.
const patience = 20 * time.Second

// A world is what a device needs around itself: names, time, a cloud and an update server, all on loopback.
type world struct {
	t       testing.TB
	product *Product
	config  Config
	roots   *x509.CertPool
	cloud   *mqtt.Server
	updates *httptest.Server
	coap    string // host:port of the plain CoAP update server

	mu      sync.Mutex
	offered []byte
}

func newWorld(t testing.TB, flaws ...string) *world {
	t.Helper()
	ports := freePorts(t, 5)
	p, err := Manufacture(t.TempDir(), ManufactureOptions{
		Flaws: flaws, Now: time.Now(),
		Ports:   Ports{HTTPS: ports[0], MQTT: ports[1], CoAPS: ports[2], CoAP: ports[3], Telnet: ports[4]},
		Network: Network{Mode: ModeLoopback, Host: "127.0.0.1"},
	})
	require.NoError(t, err)
	w := &world{t: t, product: p, roots: x509.NewCertPool()}
	root, err := os.ReadFile(p.Root)
	require.NoError(t, err)
	require.True(t, w.roots.AppendCertsFromPEM(root))
	w.config, err = LoadConfig(p.Units[0].Config)
	require.NoError(t, err)
	w.config.Now = time.Now
	w.config.Network.Resolver = w.serveDNS()
	w.config.Network.NTP = w.serveNTP()
	w.config.Cloud = net.JoinHostPort(CloudHost, strconv.Itoa(w.serveCloud()))
	w.serveUpdates()
	return w
}

// lastPort makes every port of these tests another one.
var lastPort atomic.Uint32

// freePorts finds ports that are free over TCP and UDP, below those that the system gives to clients:
// the device binds them later, and a port it gave away meanwhile would be taken.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for len(ports) < n {
		port := 10000 + (os.Getpid()*977+int(lastPort.Add(1)))%20000
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		u, err := net.ListenPacket("udp", address)
		if err == nil {
			require.NoError(t, u.Close())
			ports = append(ports, port)
		}
		require.NoError(t, l.Close())
	}
	return ports
}

func (w *world) serveDNS() string {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if strings.HasSuffix(q.Question[0].Name, ".thermostat.example.") {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1),
			})
		} else {
			m.Rcode = dns.RcodeNameError
		}
		_ = rw.WriteMsg(m)
	})}
	go func() { _ = server.ActivateAndServe() }()
	w.t.Cleanup(func() { _ = server.Shutdown() })
	return pc.LocalAddr().String()
}

// serveNTP answers RFC 5905 client packets with this machine's time.
func (w *world) serveNTP() string {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = pc.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || n < 48 {
				continue
			}
			reply := make([]byte, 48)
			reply[0], reply[1], reply[2], reply[3] = 4<<3|4, 1, 6, 0xEC
			copy(reply[12:], "TEST")
			now := time.Now()
			stamp := uint64(now.Unix()+2208988800)<<32 | uint64(now.Nanosecond())<<32/1e9
			for _, at := range []int{16, 32, 40} {
				binary.BigEndian.PutUint64(reply[at:], stamp)
			}
			copy(reply[24:32], b[40:48])
			_, _ = pc.WriteTo(reply, from)
		}
	}()
	return pc.LocalAddr().String()
}

func (w *world) cloudTLS() *tls.Config {
	pair, err := tls.LoadX509KeyPair(w.product.CloudCert, w.product.CloudKey)
	require.NoError(w.t, err)
	return &tls.Config{Certificates: []tls.Certificate{pair}}
}

// allowAll lets the device do everything at the cloud.
type allowAll struct{ mqtt.HookBase }

func (*allowAll) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck
}
func (*allowAll) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (*allowAll) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }

func (w *world) serveCloud() int {
	w.cloud = mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(w.t, w.cloud.AddHook(new(allowAll), nil))
	l, err := tls.Listen("tcp", "127.0.0.1:0", w.cloudTLS())
	require.NoError(w.t, err)
	in := newListener(l)
	door := mqttdoor.New("tls", in)
	require.NoError(w.t, w.cloud.AddListener(door))
	require.NoError(w.t, w.cloud.Serve())
	w.t.Cleanup(func() { in.cut(); door.Wait(); _ = w.cloud.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// retained is what the cloud keeps of the device, by the last part of the topic.
func (w *world) retained() map[string]string {
	found := map[string]string{}
	for topic, m := range w.cloud.Topics.Retained.GetAll() {
		if name, ok := strings.CutPrefix(topic, "thermostat/"+w.config.Serial+"/"); ok {
			found[name] = string(m.Payload)
		}
	}
	return found
}

func (w *world) serveUpdates() {
	image := func() []byte {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.offered
	}
	w.updates = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(image()) }))
	w.updates.TLS = w.cloudTLS()
	w.updates.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	w.updates.StartTLS()
	w.t.Cleanup(w.updates.Close)

	l, err := coapnet.NewListenUDP("udp", "127.0.0.1:0")
	require.NoError(w.t, err)
	router := mux.NewRouter()
	router.HandleFunc("/firmware.bin", func(rw mux.ResponseWriter, _ *mux.Message) {
		_ = rw.SetResponse(codes.Content, message.AppOctets, bytes.NewReader(image()))
	})
	server := udp.NewServer(options.WithMux(router), options.WithContext(w.t.Context()), options.WithErrors(func(error) {}))
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	w.t.Cleanup(func() { server.Stop(); _ = l.Close(); <-done })
	w.coap = l.LocalAddr().String()
}

// offer puts an image on both update servers and returns its address on one.
func (w *world) offer(via string, image []byte) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.offered = image
	host, port := UpdatesHost, ""
	if via == viaCoAP {
		_, port, _ = net.SplitHostPort(w.coap)
	} else {
		_, port, _ = net.SplitHostPort(w.updates.Listener.Addr().String())
	}
	return via + "://" + net.JoinHostPort(host, port) + "/firmware.bin"
}

func (w *world) image(version string) []byte {
	for _, i := range w.product.Images {
		if i.Version == version {
			b, err := os.ReadFile(i.File)
			require.NoError(w.t, err)
			return b
		}
	}
	require.FailNow(w.t, "no such image", version)
	return nil
}

// flash reads the whole chip.
func (w *world) flash() []byte {
	b, err := os.ReadFile(w.config.Flash)
	require.NoError(w.t, err)
	return b
}

// A unit is a running device process, inside this one.
type unit struct {
	*world
	label   Label
	stdin   *io.PipeWriter
	answers *bufio.Scanner
	done    chan error
	client  *http.Client
	log     *syncBuffer
}

// boot starts the device and waits until it is healthy.
func (w *world) boot() *unit {
	u := w.plug()
	u.await("healthy", func() bool { return u.health() == http.StatusOK })
	return u
}

// plug starts the device.
func (w *world) plug() *unit {
	w.t.Helper()
	in, stdin := io.Pipe()
	out, answers := io.Pipe()
	u := &unit{world: w, label: w.product.Units[0].Label, stdin: stdin, answers: bufio.NewScanner(out), done: make(chan error, 1), log: &syncBuffer{}}
	config := w.config
	config.Answers = answers
	u.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: w.roots}, DisableKeepAlives: true,
	}}
	ctx, cancel := context.WithCancel(w.t.Context())
	go func() { u.done <- Run(ctx, config, in, u.log); answers.Close() }()
	w.t.Cleanup(func() {
		_ = stdin.Close()
		select {
		case <-u.done:
		case <-time.After(patience):
			w.t.Error("the device did not end with its standard input")
		}
		cancel()
		if w.t.Failed() {
			w.t.Logf("device log:\n%s", u.log)
		}
	})
	u.control("start", "ok start")
	return u
}

func (u *unit) control(line, want string) {
	u.t.Helper()
	_, err := io.WriteString(u.stdin, line+"\n")
	require.NoError(u.t, err)
	require.True(u.t, u.answers.Scan(), "no answer to %q", line)
	require.Equal(u.t, want, u.answers.Text())
}

func (u *unit) await(what string, ok func() bool) {
	u.t.Helper()
	require.Eventually(u.t, func() bool {
		select {
		case err := <-u.done:
			u.done <- err
			require.NoError(u.t, err, "the device ended while it was waited for: %s", what)
		default:
		}
		return ok()
	}, patience, 10*time.Millisecond, what)
}

// ask is one call of the admin API; status 0: no answer.
func (u *unit) ask(method, path, token string, body any) (int, map[string]any) {
	u.t.Helper()
	b, err := json.Marshal(body)
	require.NoError(u.t, err)
	r, err := http.NewRequestWithContext(u.t.Context(), method, "https://127.0.0.1:"+strconv.Itoa(u.config.Ports.HTTPS)+path, bytes.NewReader(b))
	require.NoError(u.t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	reply, err := u.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer reply.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(io.LimitReader(reply.Body, 1<<20)).Decode(&answer)
	return reply.StatusCode, answer
}

func (u *unit) health() int {
	status, _ := u.ask("GET", "/api/health", "", nil)
	return status
}

func (u *unit) running() string {
	_, answer := u.ask("GET", "/api/health", "", nil)
	version, _ := answer["version"].(string)
	return version
}

func (u *unit) login(user, password string) (int, string) {
	u.t.Helper()
	status, answer := u.ask("POST", "/api/login", "", loginRequest{user, password})
	token, _ := answer["token"].(string)
	return status, token
}

// owner logs in with the label.
func (u *unit) owner() string {
	u.t.Helper()
	status, token := u.login(u.label.AdminUser, u.label.AdminPassword)
	require.Equal(u.t, http.StatusOK, status)
	return token
}

// syncBuffer is a log that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
