package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"assay/probes"
)

// Reasons of SSH_MSG_DISCONNECT: RFC 4253 11.1.
const (
	sshProtocolError  = "ssh: disconnect, reason 2:" // OpenSSH's for too many tries
	sshTooMany        = "ssh: disconnect, reason 12:"
	sshNoMoreMethods  = "ssh: disconnect, reason 14:"
	sshUnauthorized   = "ssh: unable to authenticate"
	sshNothingAllowed = "ssh: disconnect, reason 1:" // host not allowed to connect
)

// errOneTry ends an authentication after the one try that a knock is: a server that asks for the
// password by both of its methods would count two.
var errOneTry = errors.New("the password was tried")

// An sshVisit is one login over SSH.
type sshVisit struct {
	user, password, run string
	script              []string
	bare                bool
	signer              ssh.Signer

	hostKey string
	spent   bool // the password has been sent
}

// ssh logs in and runs a command or leads a dialogue.
func (r *run) ssh(ctx context.Context, s step, x *scope) (answer, error) {
	u, err := x.url(s.SSH.URL, "ssh")
	if err != nil {
		return answer{}, err
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "22")
	}
	v, err := x.sshVisit(s)
	if err != nil {
		return answer{}, err
	}
	conn, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return noReply(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	session, channels, requests, err := ssh.NewClientConn(conn, u.Host, v.config(s.SSH.Legacy))
	if err != nil {
		return v.loginError(ctx, err)
	}
	client := ssh.NewClient(session, channels, requests)
	defer func() {
		conn.Close()
		client.Wait() // the library's goroutines are over
	}()
	more := map[string]any{
		"text": "", "matched": "", "stderr": "", "exit": int64(-1),
		"host_key": v.hostKey, "server": valid(string(session.ServerVersion())),
	}
	switch {
	case v.run != "":
		return v.command(ctx, client, more)
	case len(s.lines) > 0:
		return v.shell(ctx, s, client, more)
	}
	return answer{reply: more, outcome: probes.Done, detail: "logged in, " + v.hostKey}, nil
}

func (x *scope) sshVisit(s step) (*sshVisit, error) {
	v := &sshVisit{signer: s.signer}
	// A login without credentials: the method "none" (RFC 4252 5.2), which still wants a name.
	v.bare = x.login && x.bare && (credentials(s.SSH.Username) || credentials(s.SSH.Password))
	username, password := s.SSH.Username, s.SSH.Password
	if v.bare {
		username, password = "root", ""
		if l, ok := x.unit.Logins["ssh"]; ok && l.Username != "" {
			username = "{{login.ssh.username}}"
		}
		if s.SSH.Username != "" && !credentials(s.SSH.Username) {
			username = s.SSH.Username
		}
		v.signer = nil
	}
	var err error
	for _, f := range []struct {
		key, template string
		value         *string
	}{{"username", username, &v.user}, {"password", password, &v.password}, {"run", s.SSH.Run, &v.run}} {
		if *f.value, err = x.text(f.key, f.template); err != nil {
			return nil, err
		}
	}
	v.bare = v.bare || s.SSH.Password == ""
	if v.script, err = x.script(s, "\n"); err != nil {
		return nil, err
	}
	return v, nil
}

// config offers what RFC 9142 still recommends, and the rest only where the recipe says so. The
// host key is written down, not judged: nobody has told this bench which one is right.
func (v *sshVisit) config(legacy bool) *ssh.ClientConfig {
	good := ssh.SupportedAlgorithms()
	c := &ssh.ClientConfig{
		User: v.user, ClientVersion: "SSH-2.0-assay",
		HostKeyAlgorithms: hostKeys(good.HostKeys),
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			v.hostKey = key.Type() + " " + ssh.FingerprintSHA256(key)
			return nil
		},
	}
	c.KeyExchanges, c.Ciphers, c.MACs = good.KeyExchanges, good.Ciphers, good.MACs
	if legacy {
		old := ssh.InsecureAlgorithms()
		c.KeyExchanges = slices.Concat(c.KeyExchanges, old.KeyExchanges)
		c.Ciphers = slices.Concat(c.Ciphers, old.Ciphers)
		c.MACs = slices.Concat(c.MACs, old.MACs)
		c.HostKeyAlgorithms = slices.Concat(c.HostKeyAlgorithms, old.HostKeys)
	}
	if v.signer != nil {
		c.Auth = append(c.Auth, ssh.PublicKeys(v.signer))
	}
	if !v.bare {
		c.Auth = append(c.Auth, ssh.PasswordCallback(v.once), ssh.KeyboardInteractive(v.asked))
	}
	return c
}

// hostKeys puts the kinds of keys into the order of OpenSSH's client, which is what devices are tried
// with: Debian's dropbear 2022.83 offers RSA where it has no such key, and dies when it is chosen.
func hostKeys(all []string) []string {
	rank := func(name string) int {
		return slices.IndexFunc([]string{"ssh-ed25519", "ecdsa-", "sk-", "rsa-", ""}, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b string) int { return rank(a) - rank(b) })
	return sorted
}

func (v *sshVisit) once() (string, error) {
	if v.spent {
		return "", errOneTry
	}
	v.spent = true
	return v.password, nil
}

// asked answers the server's one question with the password; notes without a question are taken.
func (v *sshVisit) asked(_, _ string, questions []string, _ []bool) ([]string, error) {
	switch len(questions) {
	case 0:
		return nil, nil
	case 1:
		password, err := v.once()
		return []string{password}, err
	}
	return nil, fmt.Errorf("it asks %d questions at once", len(questions))
}

// loginError says what a device did from the error that ended a login.
func (v *sshVisit) loginError(ctx context.Context, err error) (answer, error) {
	words := err.Error()
	has := func(s string) bool { return strings.Contains(words, s) }
	var negotiation *ssh.AlgorithmNegotiationError
	switch {
	case errors.Is(err, errOneTry), has(errOneTry.Error()), has(sshUnauthorized), has(sshNoMoreMethods), has(sshNothingAllowed),
		has(sshProtocolError) && v.spent:
		return answer{outcome: probes.Refused, detail: "SSH: not let in, " + v.hostKey}, nil
	case has(sshTooMany):
		return answer{outcome: probes.Limited, detail: "SSH: too many connections"}, nil
	case errors.As(err, &negotiation):
		return answer{outcome: probes.Unexpected, detail: "SSH: no algorithm in common for " + negotiation.What +
			"; legacy: true offers the old ones, too"}, nil
	case late(ctx):
		err = cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	if inner := errors.Unwrap(err); inner != nil {
		err = inner // "ssh: handshake failed"
	}
	return noReply(err)
}

// command runs one command and awaits its end.
func (v *sshVisit) command(ctx context.Context, client *ssh.Client, reply map[string]any) (answer, error) {
	session, err := client.NewSession()
	if err != nil {
		return sshBroken(ctx, err)
	}
	defer session.Close()
	stdout, stderr := &guarded{bounded: bounded{most: maxText}}, &guarded{bounded: bounded{most: maxText / 4}}
	session.Stdout, session.Stderr = stdout, stderr
	err = session.Run(v.run)
	var exit *ssh.ExitError
	var missing *ssh.ExitMissingError
	text := slices.Concat(stdout.bytes(), stderr.bytes())
	a := answer{reply: reply, outcome: probes.Done, text: text, words: tail(string(text))}
	reply["text"], reply["stderr"] = valid(string(stdout.bytes())), valid(string(stderr.bytes()))
	switch {
	case err == nil:
		reply["exit"] = int64(0)
		a.detail = "exit 0"
	case errors.As(err, &exit) && exit.Signal() == "":
		reply["exit"] = int64(exit.ExitStatus())
		a.outcome, a.detail = probes.Unexpected, fmt.Sprintf("exit %d", exit.ExitStatus())
	case errors.As(err, &exit):
		a.outcome, a.detail, a.partial = probes.Unexpected, "the command was ended by signal "+exit.Signal(), true
	case late(ctx) && len(text) > 0:
		a.outcome, a.detail, a.partial = probes.Unexpected, "the command did not end in time", true
	case !late(ctx) && errors.As(err, &missing):
		a.outcome, a.detail, a.partial = probes.Reset, "it hung up within the command", true
	default:
		b, err := sshBroken(ctx, err)
		b.text = text
		return b, err
	}
	return a, nil
}

// shell leads a dialogue with a shell in a terminal.
func (v *sshVisit) shell(ctx context.Context, s step, client *ssh.Client, reply map[string]any) (answer, error) {
	session, err := client.NewSession()
	if err != nil {
		return sshBroken(ctx, err)
	}
	defer session.Close()
	in, err := session.StdinPipe()
	if err != nil {
		return sshBroken(ctx, err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return sshBroken(ctx, err)
	}
	session.Stderr = io.Discard // a terminal has one stream
	// Some shells refuse a terminal and work without one.
	_ = session.RequestPty("dumb", 24, 200, ssh.TerminalModes{})
	if err := session.Shell(); err != nil {
		return sshBroken(ctx, err)
	}
	d := &dialogue{step: s, script: v.script, ear: hear(out), voice: in, more: reply}
	delete(reply, "text")
	delete(reply, "matched")
	at, err := d.lead(ctx)
	client.Close()
	<-d.ear.ended
	if late(ctx) && err != nil {
		err = cmp.Or(ctx.Err(), context.DeadlineExceeded)
	}
	return d.answer(at, err), nil
}

// sshBroken says what a device did that let us in and then did not go on.
func sshBroken(ctx context.Context, err error) (answer, error) {
	var closed *ssh.OpenChannelError
	switch {
	case late(ctx):
		return answer{outcome: probes.Silent, detail: "logged in, then no answer in time"}, nil
	case errors.As(err, &closed):
		return answer{outcome: probes.Unexpected, detail: "logged in, and no session was opened: " + closed.Reason.String(), words: closed.Message}, nil
	case strings.Contains(err.Error(), "could not start shell"), strings.Contains(err.Error(), "command") && strings.Contains(err.Error(), "failed"):
		return answer{outcome: probes.Unexpected, detail: "logged in, and it runs nothing: " + plain(err)}, nil
	}
	return noReply(err)
}

// guarded is a bounded writer for several goroutines.
type guarded struct {
	mu sync.Mutex
	bounded
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bounded.Write(p)
}

func (g *guarded) bytes() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.kept)
}

// late tells whether a step's time is over. The connection has the same deadline as its context, and may
// feel it a moment earlier.
func late(ctx context.Context) bool {
	at, bounded := ctx.Deadline()
	return ctx.Err() != nil || bounded && time.Until(at) <= 0
}
