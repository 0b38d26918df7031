package dossier

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// maxLines bounds one dialogue, maxRetries one step's tries.
const (
	maxLines   = 64
	maxRetries = 1000
	maxSpeed   = 4_000_000
)

// What a step and a line of a dialogue may take where the recipe does not say.
const (
	stepSeconds   = 5
	personSeconds = 120
	retryWait     = 1
)

// exchange checks what each transport cannot do without.
func (c *checker) exchange(key string, s *Step) {
	switch {
	case s.HTTP != nil:
		c.http(key+".http", s.HTTP)
	case s.MQTT != nil:
		c.mqtt(key+".mqtt", s.MQTT)
	case s.CoAP != nil:
		c.coap(key+".coap", s.CoAP)
	case s.SSH != nil:
		c.ssh(key+".ssh", s.SSH)
	case s.Telnet != nil:
		c.url(key+".telnet.url", s.Telnet.URL, "telnet://")
		c.dialogue(key+".telnet.dialogue", s.Telnet.Dialogue, true)
	case s.Serial != nil:
		c.serial(key+".serial", s.Serial)
	case s.Command != nil && len(s.Command.Run) == 0:
		c.doc.Complain(key+".command.run", "is missing or empty: name the program and its arguments")
	case s.Person != nil:
		c.filled(key+".person.say", s.Person.Say)
	case s.Button != nil:
		c.filled(key+".button.name", s.Button.Name)
		if s.Button.Hold < 0 || s.Button.Hold > maxSeconds {
			c.doc.Complain(key+".button.hold", "is %g, wants at most %d", s.Button.Hold, maxSeconds)
		}
	}
}

func (c *checker) http(key string, h *HTTPStep) {
	c.url(key+".url", h.URL, "http://", "https://")
	bodies := 0
	for _, has := range []bool{len(h.JSON) > 0, len(h.Form) > 0 && h.Upload == nil, h.Body != "", h.Upload != nil} {
		if has {
			bodies++
		}
	}
	if bodies > 1 && h.Upload != nil {
		c.doc.Complain(key, "has json or body beside upload: only a form can go with a file")
	} else if bodies > 1 {
		c.doc.Complain(key, "has more than one of json, form and body: a request has one")
	}
	c.choice(key+".redirects", h.Redirects, "same-host", "none")
	if u := h.Upload; u != nil {
		c.filled(key+".upload.field", u.Field)
		if (u.File == "") == (u.Value == "") {
			c.doc.Complain(key+".upload", "wants file or value: exactly one of them")
		} else if u.File != "" {
			c.exists(key+".upload.file", u.File)
		}
	}
	c.tls(key, h.TLS, h.URL, "https://")
}

func (c *checker) mqtt(key string, q *MQTTStep) {
	if q.URL != "cloud" {
		c.url(key+".url", q.URL, "mqtt://", "mqtts://")
	}
	if q.Listen < 0 || q.Listen > maxSeconds {
		c.doc.Complain(key+".listen", "is %g, wants at most %d", q.Listen, maxSeconds)
	}
	c.choice(key+".version", q.Version, "3.1.1", "5")
	if q.QoS != nil {
		c.qos(key+".qos", *q.QoS)
	}
	if q.Will != nil {
		c.filled(key+".will.topic", q.Will.Topic)
		c.qos(key+".will.qos", q.Will.QoS)
	}
	c.tls(key, q.TLS, q.URL, "mqtts://")
}

func (c *checker) qos(key string, qos int) {
	if qos < 0 || qos > 2 {
		c.doc.Complain(key, "is %d, wants 0 to 2", qos)
	}
}

func (c *checker) coap(key string, p *CoAPStep) {
	c.url(key+".url", p.URL, "coap://", "coaps://", "coap+tcp://", "coaps+tcp://")
	if p.Observe < 0 || p.Observe > maxSeconds {
		c.doc.Complain(key+".observe", "is %g, wants at most %d", p.Observe, maxSeconds)
	}
	if p.Observe > 0 && p.Method != "" && !strings.EqualFold(p.Method, "GET") {
		c.doc.Complain(key+".observe", "goes with GET only: RFC 7641")
	}
	if p.Key != "" && strings.HasPrefix(p.URL, "coaps+tcp://") {
		c.doc.Complain(key+".key", "is not done over coaps+tcp://: use coaps://, or tls with a certificate")
	}
	if p.Key != "" && p.TLS != nil {
		c.doc.Complain(key, "has key and tls: a handshake is by pre-shared key or by certificates")
	}
	c.tls(key, p.TLS, p.URL, "coaps://", "coaps+tcp://")
}

func (c *checker) ssh(key string, s *SSHStep) {
	c.url(key+".url", s.URL, "ssh://")
	c.filled(key+".username", s.Username)
	if s.Run != "" && len(s.Dialogue) > 0 {
		c.doc.Complain(key, "has run and dialogue: it is one command, or a dialogue with a shell")
	}
	c.dialogue(key+".dialogue", s.Dialogue, false)
	if s.Key == nil {
		return
	}
	if err := s.Key.resolve(c.dir); err != nil {
		c.doc.Complain(key+".key", "%v", err)
	} else if _, err := ssh.ParsePrivateKey([]byte(s.Key.value)); err != nil {
		var locked *ssh.PassphraseMissingError
		if errors.As(err, &locked) {
			c.doc.Complain(key+".key", "is locked by a passphrase: give the bench one without")
		} else {
			c.doc.Complain(key+".key", "holds no private key of PEM or OpenSSH")
		}
	}
}

func (c *checker) serial(key string, s *SerialStep) {
	c.filled(key+".port", s.Port)
	if s.Speed < 0 || s.Speed > maxSpeed {
		c.doc.Complain(key+".speed", "is %d, wants at most %d", s.Speed, maxSpeed)
	}
	c.choice(key+".frame", s.Frame, "8N1", "8E1", "8O1", "7E1", "7O1", "8N2")
	c.choice(key+".ending", s.Ending, "cr", "lf", "crlf")
	c.dialogue(key+".dialogue", s.Dialogue, true)
}

func (c *checker) dialogue(key string, lines []Line, wanted bool) {
	switch {
	case wanted && len(lines) == 0:
		c.doc.Complain(key, "is missing or empty: write what is awaited and what is sent")
	case len(lines) > maxLines:
		c.doc.Complain(key, "has %d lines, more than the %d that are done", len(lines), maxLines)
		return
	}
	for i, l := range lines {
		at := fmt.Sprintf("%s[%d]", key, i)
		if l.Expect == "" && l.Send == nil {
			c.doc.Complain(at, "neither expects nor sends: write expect, send or both")
		}
		if _, err := regexp.Compile(l.Expect); err != nil {
			c.doc.Complain(at+".expect", "is no RE2 expression: %v", err)
		}
		if l.Seconds < 0 || l.Seconds > maxSeconds {
			c.doc.Complain(at+".seconds", "is %g, wants at most %d", l.Seconds, maxSeconds)
		}
		if l.Raw && l.Send == nil {
			c.doc.Complain(at+".raw", "is for what is sent, and nothing is")
		}
	}
}

// choice checks one word of a few; none is the default.
func (c *checker) choice(key, word string, of ...string) {
	if (word != "" || c.doc.Has(key)) && !slices.Contains(of, word) {
		c.doc.Complain(key, "is %q, wants %s", word, oneOf(of))
	}
}

// tls reads certificate, key and CA of a step, whose URL must be one of TLS. The bench's own
// broker is reached in the bench's own way.
func (c *checker) tls(key string, t *TLS, url string, schemes ...string) {
	if t == nil {
		return
	}
	if !slices.ContainsFunc(schemes, func(s string) bool { return strings.HasPrefix(url, s) }) {
		c.doc.Complain(key+".tls", "is for a url that begins with %s", oneOf(schemes))
	}
	key += ".tls"
	if t.CA != "" || c.doc.Has(key+".ca") {
		c.pem(key+".ca", t.CA)
	}
	if (t.Certificate == "") != (t.Key == nil) {
		c.doc.Complain(key, "has one of certificate and key: a client shows both or none")
		return
	}
	if t.Certificate == "" {
		return
	}
	chain, err := readFile(c.dir, t.Certificate, maxPEM)
	if err != nil {
		c.doc.Complain(key+".certificate", "%v", err)
		return
	}
	if err := t.Key.resolve(c.dir); err != nil {
		c.doc.Complain(key+".key", "%v", err)
	} else if _, err := tls.X509KeyPair(chain, []byte(t.Key.value)); err != nil {
		c.doc.Complain(key+".certificate", "is not a PEM certificate that goes with the key: %s", strings.TrimPrefix(err.Error(), "tls: "))
	}
}

// retry checks the tries of a step and that all of them end within an hour.
func (c *checker) retry(key string, s *Step) {
	r := s.Retry
	if r == nil {
		return
	}
	key += ".retry"
	wait := r.WaitSeconds
	if wait == 0 {
		wait = retryWait
	}
	switch {
	case r.Times < 1 || r.Times > maxRetries:
		c.doc.Complain(key+".times", "is %d, wants 1 to %d", r.Times, maxRetries)
	case wait < 0 || wait > maxSeconds:
		c.doc.Complain(key+".wait_seconds", "is %g, wants at most %d", wait, maxSeconds)
	case float64(r.Times)*wait+float64(r.Times+1)*s.Takes() > maxSeconds:
		c.doc.Complain(key, "may take %.0f seconds, wants at most %d: fewer times, or shorter", float64(r.Times)*wait+float64(r.Times+1)*s.Takes(), maxSeconds)
	}
	c.condition(key+".until", r.Until, s.transports()[0].name)
}

// triedOnce keeps retries out of logins: how often one is tried is what the probes count.
func (c *checker) triedOnce(key string, steps []Step) {
	for i, s := range steps {
		if s.Retry != nil {
			c.doc.Complain(fmt.Sprintf("%s[%d].retry", key, i), "does not belong into a login: how often it is tried is for the probes to count")
		}
	}
}

// Takes is how many seconds one try of a step may take.
func (s *Step) Takes() float64 {
	takes := s.Seconds
	var lines []Line
	switch {
	case s.SSH != nil:
		lines = s.SSH.Dialogue
	case s.Telnet != nil:
		lines = s.Telnet.Dialogue
	case s.Serial != nil:
		lines = s.Serial.Dialogue
	}
	if takes == 0 {
		takes = stepSeconds
		if s.Person != nil || s.Button != nil {
			takes = personSeconds
		}
		for _, l := range lines {
			takes += l.Takes()
		}
	}
	return min(takes, maxSeconds)
}

// Takes is how many seconds a line's text may take to come.
func (l Line) Takes() float64 {
	switch {
	case l.Expect == "":
		return 0
	case l.Seconds > 0:
		return l.Seconds
	}
	return stepSeconds
}
