package refdevice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/net/blockwise"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/pkg/runner/periodic"
	"github.com/plgd-dev/go-coap/v3/udp"
	coapclient "github.com/plgd-dev/go-coap/v3/udp/client"
)

var (
	errOversize = fmt.Errorf("more than a slot of %d bytes", slotSize)
	errBlocks   = errors.New("the blocks do not fit together")
)

// fetch downloads an image; nothing longer than a slot is kept.
func (l *life) fetch(ctx context.Context, address string) (via string, image []byte, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", nil, fmt.Errorf("fetch update: %w", errBadURL)
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	if u.Scheme == viaCoAP {
		image, err = l.fetchCoAP(ctx, u)
	} else {
		image, err = l.fetchHTTPS(ctx, u)
	}
	if err != nil {
		return "", nil, fmt.Errorf("fetch update over %s: %w", u.Scheme, err)
	}
	return u.Scheme, image, nil
}

// fetchHTTPS trusts the maker's root only, and follows no redirection.
func (l *life) fetchHTTPS(ctx context.Context, u *url.URL) ([]byte, error) {
	transport := &http.Transport{
		DialContext:            l.uplink.resolver.dial,
		TLSClientConfig:        l.clientTLS(u.Hostname()),
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		MaxResponseHeaderBytes: 16 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	reply, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d", reply.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(reply.Body, slotSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > slotSize {
		return nil, errOversize
	}
	return b, nil
}

// fetchCoAP asks block by block (RFC 7959). The way is not protected: what counts is the image's signature.
func (l *life) fetchCoAP(ctx context.Context, u *url.URL) ([]byte, error) {
	port := u.Port()
	if port == "" {
		port = "5683"
	}
	raw, err := l.uplink.resolver.dial(ctx, "udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	socket, ok := raw.(*net.UDPConn)
	if !ok {
		return nil, errors.Join(errors.New("not a UDP socket"), raw.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn := udp.Client(socket,
		options.WithContext(ctx),
		options.WithErrors(func(err error) { l.log.Debug("update over coap", "error", err) }),
		options.WithPeriodicRunner(periodic.New(ctx.Done(), 100*time.Millisecond)),
		options.WithTransmission(1, time.Second, 4),
		// The blocks are counted here, where their sum is bounded.
		options.WithBlockwise(false, blockwise.SZX1024, time.Second),
		options.WithCloseSocket(),
	)
	defer func() { _ = conn.Close() }()
	return blocks(ctx, conn, u)
}

// blocks collects the blocks of one representation.
func blocks(ctx context.Context, conn *coapclient.Conn, u *url.URL) ([]byte, error) {
	var image, tag []byte
	size := blockwise.SZX1024
	for {
		b, err := oneBlock(ctx, conn, u, size, int64(len(image))/size.Size())
		if err != nil {
			return nil, err
		}
		if len(image) > 0 && (!bytes.Equal(b.tag, tag) || b.szx > size) {
			return nil, errBlocks
		}
		if len(image) == 0 {
			tag, size = b.tag, min(size, b.szx)
		}
		if b.at != int64(len(image)) || b.more && int64(len(b.body)) != b.szx.Size() {
			return nil, errBlocks
		}
		image = append(image, b.body...)
		switch {
		case len(image) > slotSize:
			return nil, errOversize
		case !b.more:
			return image, nil
		}
	}
}

// A block is one part of a representation.
type block struct {
	at   int64 // where it belongs
	szx  blockwise.SZX
	more bool
	tag  []byte
	body []byte
}

// oneBlock asks for one block; a server without block-wise transfer answers with everything.
func oneBlock(ctx context.Context, conn *coapclient.Conn, u *url.URL, szx blockwise.SZX, number int64) (block, error) {
	want, err := blockwise.EncodeBlockOption(szx, number, false)
	if err != nil {
		return block{}, err
	}
	ask, err := conn.NewGetRequest(ctx, u.EscapedPath())
	if err != nil {
		return block{}, err
	}
	defer conn.ReleaseMessage(ask)
	for _, q := range splitQuery(u.RawQuery) {
		ask.AddQuery(q)
	}
	ask.SetOptionUint32(message.Block2, want)
	reply, err := conn.Do(ask)
	if err != nil {
		return block{}, err
	}
	defer conn.ReleaseMessage(reply)
	if reply.Code() != codes.Content {
		return block{}, fmt.Errorf("the server answers %v", reply.Code())
	}
	b := block{szx: szx}
	if b.body, err = reply.ReadBody(); err != nil {
		return block{}, err
	}
	if tag, err := reply.ETag(); err == nil {
		b.tag = bytes.Clone(tag)
	}
	if have, err := reply.GetOptionUint32(message.Block2); err == nil {
		var n int64
		if b.szx, n, b.more, err = blockwise.DecodeBlockOption(have); err != nil {
			return block{}, err
		}
		b.at = n * b.szx.Size()
	}
	return b, nil
}

// splitQuery makes one Uri-Query option of each part (RFC 7252 section 6.4).
func splitQuery(raw string) []string {
	if raw == "" {
		return nil
	}
	return strings.Split(raw, "&")
}
