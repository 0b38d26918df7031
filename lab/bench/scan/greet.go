package scan

import (
	"bytes"
	"context"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"assay/probes"
)

// maxHeard bounds what is read of one port at a time.
const maxHeard = 512

// greet finds out what open ports speak: what they say by themselves, and to the first words of
// TLS, HTTP and MQTT. No name and no password is ever sent.
func (k *knocker) greet(ctx context.Context, open []probes.Port) error {
	var hands sync.WaitGroup
	slots := make(chan struct{}, 8)
	var once sync.Once
	var failed error
	for i := range open[:min(len(open), maxGreeted)] {
		hands.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			speech, err := k.speech(ctx, open[i].Number)
			if err != nil {
				once.Do(func() { failed = err })
				return
			}
			open[i].Speaks = speech
		})
	}
	hands.Wait()
	return failed
}

// speech asks one port. A connection that TLS did not suit is of no use for the next question. Who has said nothing to
// any is listened to once more and long: a login may ask for the caller's name in the DNS before its first word.
func (k *knocker) speech(ctx context.Context, port int) (probes.Speech, error) {
	for _, c := range []struct {
		words [][]byte
		waits time.Duration
	}{
		{[][]byte{nil, clientHello(false)}, k.patience.Greeting}, {[][]byte{httpGet()}, k.patience.Greeting},
		{[][]byte{mqttConnect()}, k.patience.Greeting}, {[][]byte{nil}, k.patience.Quiet},
	} {
		speech, err := k.converse(ctx, port, c.words, c.waits)
		if err != nil || speech != probes.SpeaksUnknown {
			return speech, err
		}
	}
	return probes.SpeaksUnknown, nil
}

// converse connects and says one thing after the other until it knows what it hears. No words: it listens.
func (k *knocker) converse(ctx context.Context, port int, words [][]byte, waits time.Duration) (probes.Speech, error) {
	d := net.Dialer{Timeout: k.patience.Control, KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", k.address(port))
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err != nil && local(err):
		return "", err
	case err != nil: // it was open a moment ago, which stands
		return probes.SpeaksUnknown, nil
	}
	defer hangUp(conn)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	for _, w := range words {
		_ = conn.SetDeadline(time.Now().Add(waits))
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if _, err := conn.Write(w); err != nil {
			break
		}
		speech, err := hear(conn)
		if speech != probes.SpeaksUnknown {
			return speech, nil
		}
		if err != nil && !timedOut(err) {
			break
		}
	}
	return probes.SpeaksUnknown, ctx.Err()
}

// hear reads until it knows what it hears: a greeting may come line by line, and its prompt last.
func hear(conn net.Conn) (probes.Speech, error) {
	heard := make([]byte, maxHeard)
	for n := 0; n < len(heard); {
		more, err := conn.Read(heard[n:])
		n += more
		if speech := Recognise(heard[:n]); speech != probes.SpeaksUnknown || err != nil {
			return speech, err
		}
	}
	return probes.SpeaksUnknown, nil
}

// prompt is the end of what a login says before it waits, in the words of devices that do not say "login:".
var prompt = regexp.MustCompile(`(?i)\b(login|log in|user|user ?name|account|pass(word|wd|code)?|benutzer(name)?|passwort|kennwort)\b[^\r\n:>]{0,16}[:>]\s*$`)

// Recognise names the protocol by the first bytes that a TCP port sent.
func Recognise(heard []byte) probes.Speech {
	begins := func(s string) bool { return bytes.HasPrefix(heard, []byte(s)) }
	text := strings.ToLower(string(heard))
	switch {
	// IAC and one of WILL, WONT, DO, DONT (RFC 854).
	case len(heard) >= 2 && heard[0] == 0xff && heard[1] >= 0xfb && heard[1] <= 0xfe:
		return probes.SpeaksTelnet
	// A record of a handshake or an alert (RFC 8446, 5.1).
	case len(heard) >= 3 && (heard[0] == 0x16 || heard[0] == 0x15) && heard[1] == 0x03 && heard[2] <= 0x04:
		return probes.SpeaksTLS
	// CONNACK (MQTT 3.1.1, 3.2; 5.0 has properties behind the code).
	case len(heard) >= 4 && heard[0] == 0x20 && int(heard[1]) >= 2 && heard[2] <= 1:
		return probes.SpeaksMQTT
	case begins("SSH-"):
		return probes.SpeaksSSH
	case begins("HTTP/"):
		return probes.SpeaksHTTP
	case begins("RFB "):
		return probes.SpeaksVNC
	case begins("220") && strings.Contains(text, "smtp"):
		return probes.SpeaksSMTP
	case begins("220"):
		return probes.SpeaksFTP
	case strings.Contains(text, "login:") || strings.Contains(text, "username:") || strings.Contains(text, "password:") || prompt.Match(heard):
		return probes.SpeaksTelnet
	}
	return probes.SpeaksUnknown
}

// Greetings are the first words of HTTP and MQTT; what comes back, Recognise knows.
func Greetings() [][]byte { return [][]byte{httpGet(), mqttConnect()} }

func httpGet() []byte { return []byte("GET / HTTP/1.0\r\n\r\n") }

// mqttConnect is a CONNECT of MQTT 3.1.1 with a clean session and an identifier, without a login.
func mqttConnect() []byte {
	const id = "assay-scan"
	body := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0x02, 0, 30, 0, byte(len(id))}, id...)
	return append([]byte{0x10, byte(len(body))}, body...)
}
