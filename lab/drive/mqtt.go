package drive

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"assay/probes"
)

// cloudURL is how recipes name the bench's own broker.
const cloudURL = "cloud"

// maxMessages bounds what one subscription collects, beside maxText.
const maxMessages = 256

// Codes of a CONNACK and a SUBACK. A broker that knows MQTT 5 may use its reasons on a 3.1.1 client.
const (
	codeBadLogin    = 4 // MQTT 3.1.1, 3.2.2.3
	codeNotAllowed  = 5
	codeFailure     = 0x80 // in a SUBACK, 3.9.3
	reasonBadLogin  = 134  // MQTT 5.0, 3.2.2.2
	reasonNotAllow  = 135
	reasonBanned    = 138
	reasonBadMethod = 140
	reasonQuota     = 151
	reasonRate      = 159
)

// mqtt connects, subscribes, publishes and collects messages, as far as the recipe says.
func (r *run) mqtt(ctx context.Context, s step, x *scope) (answer, error) {
	ask, err := x.mqttAsk(s)
	if err != nil {
		return answer{}, err
	}
	t := &talk{step: s, ask: ask}
	if s.MQTT.Version == version5 {
		err = t.converse5(ctx, r)
	} else {
		err = t.converse(ctx, r)
	}
	if ask.cloud && err != nil {
		// The broker is ours, so that silence of it tells nothing about the device.
		return answer{}, fmt.Errorf("the bench's own broker: %w", err)
	}
	if err != nil {
		return noReply(err)
	}
	a := t.answer()
	if code, _, _ := t.codes(); ask.cloud && code != 0 {
		return answer{}, fmt.Errorf("the bench's own broker answered the login with code %d", code)
	}
	return a, nil
}

// An mqttAsk is an MQTT step with its variables filled in.
type mqttAsk struct {
	url                *url.URL
	cloud              bool
	client, user, pass string
	publish, payload   string
	subscribe          string
	retain, tls        bool
	qos                byte
	will               *will // nil: none
	hangUp             bool
}

// A will is a last will with its variables filled in.
type will struct {
	topic, payload string
	retain         bool
	qos            byte
}

func (x *scope) mqttAsk(s step) (mqttAsk, error) {
	q, ask := s.MQTT, mqttAsk{retain: s.MQTT.Retain, qos: 1, hangUp: s.MQTT.HangUp}
	if q.QoS != nil {
		ask.qos = byte(*q.QoS)
	}
	username, password := q.Username, q.Password
	if x.login && x.bare && (credentials(username) || credentials(password)) {
		username, password = "", "" // a login without credentials: no user name at all
	}
	var err error
	for _, f := range []struct {
		key, template string
		value         *string
	}{
		{"client_id", q.ClientID, &ask.client}, {"username", username, &ask.user}, {"password", password, &ask.pass},
		{"publish", q.Publish, &ask.publish}, {"payload", q.Payload, &ask.payload}, {"subscribe", q.Subscribe, &ask.subscribe},
	} {
		if *f.value, err = x.text(f.key, f.template); err != nil {
			return ask, err
		}
	}
	if w := q.Will; w != nil {
		ask.will = &will{retain: w.Retain, qos: byte(w.QoS)}
		if ask.will.topic, err = x.text("will: topic", w.Topic); err != nil {
			return ask, err
		}
		if ask.will.payload, err = x.text("will: payload", w.Payload); err != nil {
			return ask, err
		}
	}
	if ask.client == "" {
		ask.client = "assay-" + rand.Text()[:10] // 23 characters are the most that every broker takes
	}
	address := q.URL
	if address == cloudURL {
		ask.cloud, address = true, x.options.Cloud.URL
		if address == "" {
			return ask, fmt.Errorf("url: this bench has no broker of its own: %w", probes.ErrBench)
		}
		if ask.user == "" {
			ask.user, ask.pass = x.options.Cloud.Username, x.options.Cloud.Password
		}
	}
	if ask.url, err = x.url(address, "mqtt", "tcp", "mqtts", "ssl", "tls"); err != nil {
		return ask, err
	}
	port := "1883"
	if ask.tls = ask.url.Scheme != "mqtt" && ask.url.Scheme != "tcp"; ask.tls {
		port = "8883"
	}
	if ask.url.Port() == "" {
		ask.url.Host = net.JoinHostPort(ask.url.Hostname(), port)
	}
	return ask, nil
}

// A talk is one conversation with a broker.
type talk struct {
	step  step
	ask   mqttAsk
	guard *mqttGuard // of MQTT 3.1.1
	five  *talk5     // or of MQTT 5

	mu       sync.Mutex
	messages []any
	text     bytes.Buffer
	news     chan struct{} // a message has come
	dropped  bool          // it hung up while we listened
}

// converse runs the conversation. What it returns ended it before there was a reply.
func (t *talk) converse(ctx context.Context, r *run) error {
	conn, err := t.open(ctx, r)
	if err != nil {
		return err
	}
	t.guard, t.news = newMQTTGuard(conn), make(chan struct{}, 1)
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	client := mqtt.NewClient(t.clientOptions())
	defer client.Disconnect(100)
	connack := func() int { code, _, _ := t.guard.state(); return code }
	suback := func() int { _, code, _ := t.guard.state(); return code }
	err = t.wait(ctx, client.Connect(), func() bool { return connack() != noConnack })
	if err != nil || connack() != 0 {
		return err
	}
	if t.ask.subscribe != "" {
		err = t.wait(ctx, client.Subscribe(t.ask.subscribe, t.ask.qos, t.receive), func() bool { return suback() != noConnack })
		if err != nil || suback() >= codeFailure {
			return err
		}
	}
	if t.ask.publish != "" {
		err = t.wait(ctx, client.Publish(t.ask.publish, t.ask.qos, t.ask.retain, t.ask.payload), t.guard.acknowledged)
		if err != nil {
			return err
		}
	}
	if t.bare() {
		if err := t.stays(ctx); err != nil {
			return err
		}
	}
	t.listen(ctx)
	if t.ask.hangUp {
		conn.Close() // before the client says goodbye
	}
	return nil
}

// codes are those of CONNACK and SUBACK, and why the stream is over.
func (t *talk) codes() (connack, suback int, fault error) {
	if t.five != nil {
		return t.five.connack, t.five.suback, nil
	}
	return t.guard.state()
}

func (t *talk) open(ctx context.Context, r *run) (net.Conn, error) {
	conn, err := dial(ctx, "tcp", t.ask.url.Host)
	if err != nil || !t.ask.tls {
		return conn, err
	}
	config := r.tlsConfig(t.ask.url.Hostname(), t.step.tls)
	if t.ask.cloud {
		config.VerifyConnection = nil // it is the bench talking to itself
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secured, nil
}

func (t *talk) clientOptions() *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker("tcp://device"). // never dialled: the connection stands already
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return t.guard, nil }).
		SetClientID(t.ask.client).SetUsername(t.ask.user).SetPassword(t.ask.pass).
		SetProtocolVersion(4).SetCleanSession(true).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(longest * time.Second).
		SetKeepAlive(0).SetOrderMatters(true).
		SetDefaultPublishHandler(t.receive)
	if w := t.ask.will; w != nil {
		o.SetWill(w.topic, w.payload, w.qos, w.retain)
	}
	return o
}

// wait awaits one exchange with the broker. An answer that came before the end counts,
// whatever the client made of it.
func (t *talk) wait(ctx context.Context, token mqtt.Token, answered func() bool) error {
	select {
	case <-token.Done():
	case <-t.guard.ended:
	case <-ctx.Done():
	}
	_, _, fault := t.guard.state()
	switch {
	case answered():
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case fault != nil:
		return fault
	}
	return token.Error()
}

// bare tells whether the recipe asks for nothing but the connection.
func (t *talk) bare() bool { return t.ask.subscribe == "" && t.ask.publish == "" && !t.ask.hangUp }

// pingreq is a whole packet, in every version.
var pingreq = []byte{0xc0, 0}

// pingPatience is how long a broker has to hang up instead of answering a ping. One that does neither has said yes before.
const pingPatience = 2 * time.Second

// stays asks whether the connection stands: some brokers accept everybody, look at the login afterwards and hang up.
func (t *talk) stays(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingPatience)
	defer cancel()
	if _, err := t.guard.Conn.Write(pingreq); err == nil {
		select {
		case <-t.guard.pong:
			return nil
		case <-ctx.Done():
			return nil
		case <-t.guard.ended:
		}
	}
	_, _, fault := t.guard.state()
	select {
	case <-t.guard.pong: // it answered, and hung up then
		return nil
	default:
	}
	if late(ctx) { // the step's time was over first, and it was we who hung up
		return nil
	}
	if fault != nil && !hungUp(fault) {
		return fault
	}
	t.dropped = true
	return nil
}

// listen collects messages until the recipe's success holds or the time is over.
func (t *talk) listen(ctx context.Context) {
	if t.ask.subscribe == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.step.listen())
	defer cancel()
	for t.step.success == nil || !holds(t.step.success, t.reply()) {
		select {
		case <-t.news:
		case <-ctx.Done():
			return
		case <-t.guard.ended:
			t.dropped = true
			return
		}
	}
}

// receive takes one message. The client calls it for one message after the other.
func (t *talk) receive(_ mqtt.Client, m mqtt.Message) { t.note(m.Topic(), m.Payload(), m.Retained()) }

// note keeps a message, within bounds.
func (t *talk) note(topic string, payload []byte, retained bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := len(topic) + len(payload) + 2
	if len(t.messages) == maxMessages || t.text.Len()+line > maxText {
		return
	}
	fmt.Fprintf(&t.text, "%s %s\n", topic, payload)
	t.messages = append(t.messages, map[string]any{
		"topic": valid(topic), "payload": valid(string(payload)), "json": jsonOf(payload), "retained": retained,
	})
	select {
	case t.news <- struct{}{}:
	default:
	}
}

// reply is what conditions see of the conversation so far.
func (t *talk) reply() map[string]any {
	connack, suback, _ := t.codes()
	t.mu.Lock()
	defer t.mu.Unlock()
	reply := map[string]any{"connack": int64(connack), "suback": int64(suback), "messages": slices.Clone(t.messages)}
	if v := t.five; v != nil {
		reply["puback"], reply["disconnect"], reply["reason"] = int64(v.puback), int64(v.disconnect), valid(v.reason)
	}
	return reply
}

func (t *talk) answer() answer {
	connack, suback, _ := t.codes()
	a := answer{reply: t.reply(), outcome: probes.Done, text: bytes.Clone(t.text.Bytes())}
	switch {
	case connack != 0:
		a.outcome, a.detail = connackOutcome(connack), fmt.Sprintf("CONNACK %d", connack)
	case suback >= codeFailure:
		a.outcome, a.detail = probes.Refused, fmt.Sprintf("SUBACK %d", suback)
	case t.five != nil && t.five.puback >= codeFailure:
		a.outcome, a.detail = connackOutcome(t.five.puback), fmt.Sprintf("PUBACK %d", t.five.puback)
	case t.five != nil && t.five.disconnect >= codeFailure && connackOutcome(t.five.disconnect) != probes.Unexpected:
		a.outcome, a.detail = connackOutcome(t.five.disconnect), fmt.Sprintf("DISCONNECT %d", t.five.disconnect)
	case t.dropped:
		a.outcome, a.detail = probes.Reset, fmt.Sprintf("it hung up after %d messages", len(t.messages))
	case t.ask.subscribe == "":
		a.detail = "CONNACK 0"
	case len(t.messages) == 0:
		a.unmet, a.detail = probes.Silent, "connected, and no message came"
	default:
		a.detail = fmt.Sprintf("CONNACK 0, messages: %d", len(t.messages))
	}
	if t.five != nil {
		a.words = t.five.reason
	}
	return a
}

func connackOutcome(code int) probes.Outcome {
	switch code {
	case codeBadLogin, codeNotAllowed, reasonBadLogin, reasonNotAllow, reasonBanned, reasonBadMethod:
		return probes.Refused
	case reasonQuota, reasonRate:
		return probes.Limited
	}
	return probes.Unexpected
}
