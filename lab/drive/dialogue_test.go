package drive

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

func expects(re string) dossier.Line { return dossier.Line{Expect: re, Seconds: 0.4} }

func replies(re, send string) dossier.Line {
	return dossier.Line{Expect: re, Send: &send, Seconds: 2}
}

// telnetLogin is a dialogue that ends at a prompt, or at a no that the recipe knows.
func telnetLogin(address string, seconds float64) dossier.Step {
	return dossier.Step{
		Telnet: &dossier.TelnetStep{URL: "telnet://" + address, Dialogue: []dossier.Line{
			replies("(?i)login: ?$", "{{username}}"), replies("(?i)password: ?$", "{{password}}"),
			{Expect: `# $`, Seconds: seconds},
		}},
		Refused: `reply.text.contains("incorrect")`, Limited: `reply.text.contains("too many")`,
	}
}

// talks is a device with a login at a terminal that follows words: what it says after each line it gets.
func talks(words ...string) func(net.Conn) {
	return func(c net.Conn) {
		for i, w := range words {
			if i > 0 && !readLine(c) {
				return
			}
			io.WriteString(c, w)
		}
		io.Copy(io.Discard, c)
	}
}

func readLine(c io.Reader) bool {
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, one); err != nil {
			return false
		}
		if one[0] == '\n' {
			return true
		}
	}
}

// floods says words without end.
func floods(words string) func(net.Conn) {
	return func(c net.Conn) {
		go io.Copy(io.Discard, c)
		for {
			if _, err := io.WriteString(c, words); err != nil {
				return
			}
		}
	}
}

func TestTelnetOutcomes(t *testing.T) {
	const negotiation = "\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03\xff\xfd\x1f\xff\xfa\x18\x01\xff\xf0"
	cut := func(words string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, words) } }
	for _, c := range []struct {
		name   string
		device string
		want   probes.Outcome
		detail string
	}{
		{"lets in", tcp(t, talks(negotiation+"box login: ", "Pass\xff\xf1word: ", "\r\n# ")), probes.Done, "dialogue of 3 lines"},
		{"refuses", tcp(t, talks("login: ", "Password: ", "\r\nLogin incorrect\r\nlogin: ")), probes.Refused, "line 3: "},
		{"refuses and hangs up", tcp(t, func(c net.Conn) {
			io.WriteString(c, "login: ")
			readLine(c)
			io.WriteString(c, "password: ")
			readLine(c)
			io.WriteString(c, "incorrect\r\n")
		}), probes.Refused, "line 3: "},
		{"is locked from the start", tcp(t, talks("too many logins, come back later\r\n")), probes.Limited, "line 1: "},
		{"asks something else", tcp(t, talks("login: ", "Password: ", "\r\nNew PIN? ")), probes.Unexpected, "was not among the"},
		{"closed port", closedPort(t, "tcp"), probes.Unreachable, "refused"},
		{"is silent", tcp(t, hangs), probes.Silent, "line 1: connected, then nothing came"},
		{"is silent after the password", tcp(t, talks("login: ", "Password: ")), probes.Silent, "line 3: "},
		{"hangs up at once", tcp(t, cut("")), probes.Reset, "line 1: it hung up"},
		{"hangs up after a greeting", tcp(t, cut("welcome\r\n")), probes.Reset, "welcome"},
		{"garbage without end", tcp(t, floods(garbage(4096))), probes.Unexpected, "line 1: what is expected was not among"},
		{"commands without end", tcp(t, floods("\xff\xfb\x01")), probes.Malformed, "more than 1024 commands"},
		{"a subnegotiation without end", tcp(t, floods("\xff\xfa\x18"+strings.Repeat("x", 4096))), probes.Malformed, "subnegotiation"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := do(t, driver(t, steps(telnetLogin(c.device, 0.5))), probes.Args{"username": "owner", "password": password})
			if c.want == probes.Silent || strings.Contains(c.name, "without end") {
				assert.LessOrEqual(t, len(got.Text), maxText)
			}
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.Contains(t, got.Detail, c.detail)
			assert.NotContains(t, got.Detail, password)
		})
	}
}

func TestTelnetDialogue(t *testing.T) {
	address := tcp(t, func(c net.Conn) {
		io.WriteString(c, "\xff\xfd\x18\xff\xfb\x01")
		got := make([]byte, 6)
		io.ReadFull(c, got)
		if string(got) != "\xff\xfc\x18\xff\xfd\x01" {
			return
		}
		io.WriteString(c, "> ")
		readLine(c)
		io.WriteString(c, "version 4.2.1\r\n> ")
		io.Copy(io.Discard, c)
	})
	step := dossier.Step{
		Telnet:  &dossier.TelnetStep{URL: "telnet://" + address, Dialogue: []dossier.Line{replies("> $", "version"), expects(`version \S+`), expects("> $")}},
		Success: `reply.matched == "> "`, Capture: map[string]string{"version": `reply.text.find("version ([0-9.]+)")`},
	}
	got := try(t, step)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "4.2.1", got.Values["version"])
	assert.Equal(t, "> version 4.2.1\r\n> ", got.Text)

	// A dialogue that did not come to its end is no success, whatever a recipe's success says.
	step.Telnet.Dialogue = []dossier.Line{expects("never")}
	step.Success, step.Capture = "!reply.text.contains('incorrect')", nil
	assert.Equal(t, probes.Unexpected, try(t, step).Outcome)
}

func TestDialogueWithoutCredentials(t *testing.T) {
	step := telnetLogin(tcp(t, talks("login: ")), 0.3)
	_, err := driver(t, steps(step)).Do(t.Context(), "login-it", nil)
	require.ErrorIs(t, err, probes.ErrNoOperation, "nobody can be tried; candidates can")
	assert.ErrorContains(t, err, "dialogue: line 1 sends a credential; give the operation an anonymous recipe")

	open := dossier.Step{Telnet: &dossier.TelnetStep{URL: "telnet://" + tcp(t, talks("# ")), Dialogue: []dossier.Line{expects("# $")}}}
	o := dossier.Operation{Steps: []dossier.Step{step}, Anonymous: []dossier.Step{open}}
	got, err := driver(t, o).Do(t.Context(), "login-it", nil)
	require.NoError(t, err)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
}

// The caller's own end is no answer of the device.
func TestDialogueIsCancelled(t *testing.T) {
	step := telnetLogin(tcp(t, hangs), 5) // who floods is cut off by the bound on what is taken, perhaps before
	d := driver(t, steps(step))
	ctx, cancel := contextWithin(t, 100*time.Millisecond)
	defer cancel()
	_, err := d.Do(ctx, "it", probes.Args{"username": "a", "password": "b"})
	require.ErrorIs(t, err, probes.ErrBench)
}

// Text is what is left when commands are gone, however the stream is cut into pieces, and the answers are few.
func FuzzTelnet(f *testing.F) {
	f.Add([]byte("login: \xff\xfd\x18\xff\xfb\x01 a\xff\xffb\r\x00\r\n"), 3)
	f.Add([]byte("\xff\xfa\x18\x01\xff\xff\xff\xf0x\xff"), 1)
	f.Add([]byte(strings.Repeat("\xff\xfb\x01\xff\xfc\x01", 600)), 7)
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		size = max(1, size&0xff)
		var whole, pieces stripper
		text, reply, err := whole.strip([]byte(string(stream)))
		var text2, reply2 []byte
		var err2 error
		for at := 0; at < len(stream) && err2 == nil; at += size {
			var a, b []byte
			a, b, err2 = pieces.strip([]byte(string(stream[at:min(at+size, len(stream))])))
			text2, reply2 = append(text2, a...), append(reply2, b...)
		}
		if string(text) != string(text2) || string(reply) != string(reply2) || (err == nil) != (err2 == nil) {
			t.Fatalf("%x: %x %x %v in one piece, %x %x %v in pieces of %d", stream, text, reply, err, text2, reply2, err2, size)
		}
		if len(text) > len(stream) || len(reply) > 2*256*2*3 {
			t.Fatalf("%d bytes of text and %d of answers from %d", len(text), len(reply), len(stream))
		}
	})
}

// An ear stays within its bounds and finds what a search of the whole would find, as long as it fits.
func FuzzDialogue(f *testing.F) {
	f.Add([]byte("boot...\r\nlogin: "), "login: $", 2)
	f.Add([]byte(strings.Repeat("x", 40000)+"end"), "end", 4096)
	f.Fuzz(func(t *testing.T, stream []byte, pattern string, size int) {
		re, err := regexp.Compile(pattern)
		if err != nil || len(pattern) > 200 {
			return
		}
		size = max(1, size&0x3fff)
		e := &ear{news: make(chan struct{}, 1)}
		for at := 0; at < len(stream); at += size {
			e.take(stream[at:min(at+size, len(stream))], nil)
			if len(e.window) > maxWindow || len(e.text) > maxText {
				t.Fatalf("%d and %d bytes kept", len(e.window), len(e.text))
			}
		}
		matched, found, _ := e.match(re)
		if whole := re.Find(stream); len(stream) <= maxWindow && (found != (whole != nil) || matched != string(whole)) {
			t.Fatalf("%q in %q: found %q, want %q", pattern, stream, matched, whole)
		}
	})
}
