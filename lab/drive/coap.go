package drive

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
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
	method   codes.Code
	identity string
	key      []byte // nil: DTLS with certificates
	payload  string
	format   *message.MediaType
}

// coap carries out one CoAP request, over UDP or DTLS, block-wise where it must be.
func (r *run) coap(ctx context.Context, s step, x *scope) (answer, error) {
	ask, err := x.coapAsk(s)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
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
	response, body, err := exchangeCoAP(ctx, above, ask, s.takes)
	if err != nil {
		return datagramError(ctx, err, below, above)
	}
	return coapAnswer(response, body), nil
}

func (x *scope) coapAsk(s step) (coapAsk, error) {
	var ask coapAsk
	var method, format, key string
	c := s.CoAP
	if x.login && x.bare && (credentials(c.Identity) || credentials(c.Key)) {
		return ask, fmt.Errorf("identity, key: DTLS with a pre-shared key knows no login without one; "+
			"give the operation an anonymous recipe: %w", probes.ErrBench)
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
	if ask.url, err = x.url(c.URL, "coap", "coaps"); err != nil {
		return ask, err
	}
	port := "5683"
	if ask.secure = ask.url.Scheme == "coaps"; ask.secure {
		port = "5684"
	}
	if ask.url.Port() == "" {
		ask.url.Host = net.JoinHostPort(ask.url.Hostname(), port)
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

// exchangeCoAP sends the request over a connection that keeps datagrams apart, and awaits the whole response.
func exchangeCoAP(ctx context.Context, conn net.Conn, ask coapAsk, takes time.Duration) (*pool.Message, []byte, error) {
	c := coapClient(ctx, conn, takes)
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
	token, err := message.GetToken()
	if err != nil {
		return nil, nil, fmt.Errorf("make a token: %w: %w", err, probes.ErrBench)
	}
	request := c.AcquireMessage(ctx)
	request.SetType(message.Confirmable)
	request.SetCode(ask.method)
	request.SetToken(token)
	if err := request.SetPath(ask.url.Path); err != nil {
		return nil, nil, fmt.Errorf("path of %d bytes: %w: %w", len(ask.url.Path), err, probes.ErrBench)
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
	response, err := c.Do(request)
	if err != nil {
		return nil, nil, err
	}
	var body []byte
	if response.Body() != nil {
		body, err = io.ReadAll(io.LimitReader(response.Body(), maxText))
	}
	return response, body, err
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

func coapAnswer(response *pool.Message, body []byte) answer {
	code := response.Code()
	a := answer{outcome: probes.Unexpected, text: body}
	switch {
	case code>>5 == 2:
		a.outcome = probes.Done
	case code == codes.Unauthorized, code == codes.Forbidden:
		a.outcome = probes.Refused
	case code == codes.TooManyRequests:
		a.outcome = probes.Limited
	}
	spelled := fmt.Sprintf("%d.%02d", code>>5, code&31)
	a.detail, a.words = "CoAP "+spelled, string(body)
	a.reply = map[string]any{"code": spelled, "payload": valid(string(body)), "json": jsonOf(body)}
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
