package refdevice

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	piondtls "github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/plgd-dev/go-coap/v3/dtls"
	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/message/pool"
	"github.com/plgd-dev/go-coap/v3/options"
	"github.com/plgd-dev/go-coap/v3/udp"
	"github.com/stretchr/testify/require"
)

// errConnack is how the device's broker refused, by its return code.
type errConnack byte

func (e errConnack) Error() string { return fmt.Sprintf("CONNACK %d", byte(e)) }

// mqtt connects to the device's own broker.
func (u *unit) mqtt(user, password string) (paho.Client, error) {
	o := paho.NewClientOptions().AddBroker("tls://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(u.config.Ports.MQTT)))
	o.SetTLSConfig(&tls.Config{RootCAs: u.roots}).SetClientID("test").SetProtocolVersion(4)
	o.SetUsername(user).SetPassword(password).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	c := paho.NewClient(o)
	t := c.Connect().(*paho.ConnectToken)
	if !t.WaitTimeout(patience) {
		return nil, errors.New("no answer")
	}
	if t.Error() != nil {
		if t.ReturnCode() != 0 {
			return nil, errConnack(t.ReturnCode())
		}
		return nil, t.Error()
	}
	return c, nil
}

// publish writes one message as the owner.
func (u *unit) publish(topic, text string) {
	u.t.Helper()
	c, err := u.mqtt(u.label.MQTTUser, u.label.MQTTPassword)
	require.NoError(u.t, err)
	defer c.Disconnect(100)
	t := c.Publish(topic, 1, false, text)
	require.True(u.t, t.WaitTimeout(patience))
	require.NoError(u.t, t.Error())
}

// topics collects what a new subscriber gets, until a first quiet moment after n messages.
func (u *unit) topics(n int) map[string]string {
	u.t.Helper()
	c, err := u.mqtt(u.label.MQTTUser, u.label.MQTTPassword)
	require.NoError(u.t, err)
	defer c.Disconnect(100)
	type pair struct{ topic, text string }
	got := make(chan pair, 16)
	t := c.Subscribe("home/#", 1, func(_ paho.Client, m paho.Message) { got <- pair{m.Topic(), string(m.Payload())} })
	require.True(u.t, t.WaitTimeout(patience))
	require.NoError(u.t, t.Error())
	found := map[string]string{}
	for len(found) < n {
		select {
		case p := <-got:
			found[p.topic] = p.text
		case <-time.After(patience):
			require.FailNow(u.t, "fewer messages than expected")
		}
	}
	return found
}

// coapAsk does one request over CoAPS, or over plain CoAP where identity is empty.
func (u *unit) coapAsk(method codes.Code, path, identity string, key []byte, body string) (codes.Code, string, error) {
	ctx, cancel := context.WithTimeout(u.t.Context(), 5*time.Second)
	defer cancel()
	run := []udp.Option{options.WithContext(ctx), options.WithErrors(func(error) {})}
	port := u.config.Ports.CoAPS
	if identity == "" {
		port = u.config.Ports.CoAP
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	conn, err := udp.Dial(address, run...)
	if identity != "" {
		if err == nil {
			_ = conn.Close()
		}
		socket, derr := net.Dial("udp", address)
		if derr != nil {
			return 0, "", derr
		}
		secure, derr := piondtls.ClientWithOptions(dtlsnet.PacketConnFromConn(socket), socket.RemoteAddr(),
			piondtls.WithPSK(func([]byte) ([]byte, error) { return key, nil }),
			piondtls.WithPSKIdentityHint([]byte(identity)),
			piondtls.WithCipherSuites(piondtls.TLS_PSK_WITH_AES_128_CCM_8))
		if derr != nil {
			return 0, "", derr
		}
		if derr := secure.HandshakeContext(ctx); derr != nil {
			_ = secure.Close()
			return 0, "", derr
		}
		conn, err = dtls.Client(secure, append(run, options.WithCloseSocket())...), nil
	}
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	var reply *pool.Message
	if method == codes.PUT {
		reply, err = conn.Put(ctx, path, message.TextPlain, strings.NewReader(body))
	} else {
		reply, err = conn.Get(ctx, path)
	}
	if err != nil {
		return 0, "", err
	}
	text, err := reply.ReadBody()
	return reply.Code(), string(text), err
}

// psk is the label's key.
func (u *unit) psk() []byte {
	key, err := hex.DecodeString(u.label.PSK)
	require.NoError(u.t, err)
	return key
}
