package drive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/dtls/server"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	coapnet "github.com/plgd-dev/go-coap/v3/net"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/net/responsewriter"
	"github.com/plgd-dev/go-coap/v3/udp/client"
	"github.com/plgd-dev/go-coap/v3/udp/coder"

	"assay/probes"
)

const (
	longestDatagram = 65507
	retransmitTick  = 100 * time.Millisecond
	maxOptions      = 64 // in one message
)

// A coapAsk is a CoAP step with its variables filled in.
type coapAsk struct {
	url      *url.URL
	secure   bool
	stream   bool // over TCP or TLS
	method   codes.Code
	identity string
	key      []byte // nil: DTLS with certificates
	payload  string
	format   *message.MediaType
}

// coap carries out one CoAP request, over UDP, DTLS, TCP or TLS, block-wise where it must be, and observes.
func (r *run) coap(ctx context.Context, s step, x *scope) (answer, error) {
	ask, err := x.coapAsk(s)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if ask.stream {
		return r.coapStream(ctx, s, ask)
	}
	socket, err := dial(ctx, "udp", ask.url.Host)
	if err != nil {
		return noReply(err)
	}
	defer socket.Close()
	below := &tap{Conn: socket, see: seeCoAP}
	above := below
	if ask.secure {
		below.see = seeDTLS
		secured, err := r.handshake(ctx, below, ask, s.tls)
		if err != nil {
			return handshakeError(err, below)
		}
		above = &tap{Conn: secured, see: seeCoAP}
	}
	defer context.AfterFunc(ctx, func() { above.Close() })()
	reply, err := exchangeCoAP(ctx, coapClient(ctx, above, s.takes), above, s, ask)
	if err != nil {
		return datagramError(ctx, err, below, above)
	}
	return reply.answer(), nil
}

func (x *scope) coapAsk(s step) (coapAsk, error) {
	var ask coapAsk
	var method, format, key string
	c := s.CoAP
	if x.login && x.bare && (credentials(c.Identity) || credentials(c.Key)) {
		return ask, fmt.Errorf("identity, key: DTLS with a pre-shared key knows no login without one; "+
			"give the operation an anonymous recipe: %w", probes.ErrNoOperation)
	}
	var err error
	for _, f := range []struct {
		key, template string
		value         *string
	}{
		{"method", c.Method, &method}, {"identity", c.Identity, &ask.identity}, {"key", c.Key, &key},
		{"payload", c.Payload, &ask.payload}, {"format", c.Format, &format},
	} {
		if *f.value, err = x.text(f.key, f.template); err != nil {
			return ask, err
		}
	}
	if ask.url, err = x.url(c.URL, "coap", "coaps", "coap+tcp", "coaps+tcp"); err != nil {
		return ask, err
	}
	port := "5683"
	ask.stream = strings.HasSuffix(ask.url.Scheme, "+tcp")
	if ask.secure = strings.HasPrefix(ask.url.Scheme, "coaps"); ask.secure {
		port = "5684"
	}
	if ask.url.Port() == "" {
		ask.url.Host = net.JoinHostPort(ask.url.Hostname(), port)
	}
	if ask.stream && c.Key != "" {
		return ask, fmt.Errorf("key: TLS with a pre-shared key is not done here: %w", probes.ErrBench)
	}
	if c.Key != "" {
		ask.key = keyOf(key)
	}
	if ask.method, err = methodOf(method); err != nil {
		return ask, x.fault(err)
	}
	if format != "" {
		m, err := formatOf(format)
		if err != nil {
			return ask, x.fault(err)
		}
		ask.format = &m
	}
	return ask, nil
}

// keyOf reads a key as a label has it: hex after "hex:", or else the letters themselves. What
// follows "hex:" and is no hex is taken by its letters too, since a default password may be
// tried through a recipe that is meant for hex.
func keyOf(s string) []byte {
	digits, isHex := strings.CutPrefix(s, "hex:")
	if !isHex {
		return []byte(s)
	}
	if key, err := hex.DecodeString(digits); err == nil {
		return key
	}
	return []byte(digits)
}

func methodOf(name string) (codes.Code, error) {
	switch strings.ToUpper(name) {
	case "", "GET":
		return codes.GET, nil
	case "POST":
		return codes.POST, nil
	case "PUT":
		return codes.PUT, nil
	case "DELETE":
		return codes.DELETE, nil
	case "FETCH":
		return codes.FETCH, nil
	case "PATCH":
		return codes.PATCH, nil
	case "IPATCH":
		return codes.IPATCH, nil
	}
	return 0, fmt.Errorf("method: CoAP has no %q", shorten(name, 20))
}

// formatOf reads a content format by its registered name or number.
func formatOf(name string) (message.MediaType, error) {
	if n, err := strconv.ParseUint(name, 10, 16); err == nil {
		return message.MediaType(n), nil
	}
	if name == "text/plain" {
		return message.TextPlain, nil
	}
	m, err := message.ToMediaType(name)
	if err != nil {
		return 0, fmt.Errorf("format: %q is no CoAP content format known here; its number does, too", shorten(name, 40))
	}
	return m, nil
}

// A coapConn is the library's client, of datagrams or of a stream.
type coapConn interface {
	AcquireMessage(ctx context.Context) *pool.Message
	Do(request *pool.Message) (*pool.Message, error)
	DoObserve(request *pool.Message, note func(*pool.Message)) (observation, error)
	Context() context.Context
	Run() error
	Close() error
}

// exchangeCoAP sends the request over a connection and awaits the whole response, and what
// follows it where the recipe observes.
func exchangeCoAP(ctx context.Context, c coapConn, conn net.Conn, s step, ask coapAsk) (coapReply, error) {
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		_ = c.Run() // ends with the connection; why it ended is in the tap
	}()
	defer func() {
		conn.Close()
		c.Close()
		<-ran
	}()
	request, err := coapRequest(ctx, c, ask)
	if err != nil {
		return coapReply{}, err
	}
	if s.CoAP.Observe > 0 {
		return observeCoAP(ctx, c, request, s)
	}
	response, err := c.Do(request)
	if err != nil {
		return coapReply{}, err
	}
	reply := coapReply{code: response.Code()}
	reply.body, err = bodyOf(response)
	return reply, err
}

func bodyOf(m *pool.Message) ([]byte, error) {
	if m.Body() == nil {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(m.Body(), maxText))
}

func coapRequest(ctx context.Context, c coapConn, ask coapAsk) (*pool.Message, error) {
	token, err := message.GetToken()
	if err != nil {
		return nil, fmt.Errorf("make a token: %w: %w", err, probes.ErrBench)
	}
	request := c.AcquireMessage(ctx)
	if !ask.stream {
		request.SetType(message.Confirmable)
	}
	request.SetCode(ask.method)
	request.SetToken(token)
	if err := request.SetPath(ask.url.Path); err != nil {
		return nil, fmt.Errorf("path of %d bytes: %w: %w", len(ask.url.Path), err, probes.ErrBench)
	}
	for _, query := range strings.Split(ask.url.RawQuery, "&") {
		if decoded, err := url.QueryUnescape(query); err == nil && decoded != "" {
			request.AddQuery(decoded)
		}
	}
	if ask.format != nil {
		request.SetContentFormat(*ask.format)
	}
	if ask.payload != "" {
		request.SetBody(strings.NewReader(ask.payload))
	}
	return request, nil
}

// coapClient is the library's client over any datagram connection. The library's own dialler
// would hide from us what came in and why it ended.
func coapClient(ctx context.Context, conn net.Conn, takes time.Duration) *client.Conn {
	cfg := client.DefaultConfig
	cfg.Ctx = ctx
	cfg.Errors = func(error) {} // the default prints them
	cfg.Handler = func(*responsewriter.ResponseWriter[*client.Conn], *pool.Message) {}
	cfg.MaxMessageSize = maxText
	cfg.MessagePool = pool.New(0, 0)
	cfg.BlockwiseTransferTimeout = takes
	session := server.NewSession(ctx, coapnet.NewConn(conn), maxText, longestDatagram, true)
	c := client.NewConnWithOpts(session, &cfg, client.WithBlockWise(func(c *client.Conn) *blockwise.BlockWise[*client.Conn] {
		return blockwise.New(c, takes, cfg.Errors, func(token message.Token) (*pool.Message, bool) {
			return c.GetObservationRequest(token)
		})
	}))
	go func() { // retransmits what was not acknowledged
		tick := time.NewTicker(retransmitTick)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				c.CheckExpirations(now)
			case <-ctx.Done():
				return
			}
		}
	}()
	return c
}

// A coapReply is a response, and what came of an observation after it.
type coapReply struct {
	code     codes.Code
	body     []byte
	observes bool // the recipe asked to observe
	granted  bool // and the device does
	dropped  bool // it hung up while we listened
	later    []any
	text     []byte // of what came later
}

// fields are what conditions see of the response and of each notification.
func coapFields(code codes.Code, body []byte) map[string]any {
	return map[string]any{"code": fmt.Sprintf("%d.%02d", code>>5, code&31), "payload": valid(string(body)), "json": jsonOf(body)}
}

func (r coapReply) fields() map[string]any {
	f := coapFields(r.code, r.body)
	f["notifications"] = slices.Clone(r.later)
	return f
}

func (r coapReply) answer() answer {
	a := answer{outcome: probes.Unexpected, reply: r.fields(), text: slices.Concat(r.body, r.text), words: string(r.body)}
	a.detail = fmt.Sprintf("CoAP %d.%02d", r.code>>5, r.code&31)
	switch {
	case r.code>>5 == 2:
		a.outcome = probes.Done
	case r.code == codes.Unauthorized, r.code == codes.Forbidden:
		a.outcome = probes.Refused
	case r.code == codes.TooManyRequests:
		a.outcome = probes.Limited
	}
	if !r.observes || a.outcome != probes.Done {
		return a
	}
	switch {
	case r.dropped:
		a.outcome, a.detail = probes.Reset, fmt.Sprintf("it hung up after %d notifications", len(r.later))
	case !r.granted:
		a.outcome, a.detail = probes.Unexpected, a.detail+", and it does not let the resource be observed"
	case len(r.later) == 0:
		a.unmet, a.detail = probes.Silent, a.detail+", and no notification came"
	default:
		a.detail += fmt.Sprintf(", notifications: %d", len(r.later))
	}
	return a
}

// errRST is a message that takes back the conversation: RFC 7252 4.2.
var errRST = errors.New("it answered with a CoAP reset")

// seeCoAP looks at a datagram before the library does, which drops in silence what it cannot read.
func seeCoAP(datagram []byte) error {
	m := message.Message{Options: make(message.Options, 0, maxOptions)}
	if _, err := coder.DefaultCoder.Decode(datagram, &m); err != nil {
		return fmt.Errorf("not CoAP: %w", err)
	}
	if m.Type == message.Reset {
		return errRST
	}
	return nil
}
