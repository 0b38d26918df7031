package drive

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"assay/probes"
	"assay/profiles/dossier"
)

// An sshDevice lets root in with the password, or with nothing where it is open, and has one behaviour for all that is run.
type sshDevice struct {
	open, interactive bool
	configure         func(*ssh.ServerConfig)
	run               func(ssh.Channel) (exit int) // below zero: it hangs up
	tries             atomic.Int32                 // passwords it was asked to look at
}

func (d *sshDevice) listen(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	check := func(user, word string) (*ssh.Permissions, error) {
		if d.tries.Add(1); user == "root" && word == password {
			return nil, nil
		}
		return nil, io.ErrUnexpectedEOF
	}
	config := &ssh.ServerConfig{
		NoClientAuth:     d.open,
		PasswordCallback: func(c ssh.ConnMetadata, p []byte) (*ssh.Permissions, error) { return check(c.User(), string(p)) },
		KeyboardInteractiveCallback: func(c ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			said, err := ask("", "", []string{"Password: "}, []bool{false})
			if err != nil || len(said) != 1 {
				return nil, io.ErrUnexpectedEOF
			}
			return check(c.User(), said[0])
		},
	}
	if d.interactive {
		config.PasswordCallback = nil
	}
	if d.configure != nil {
		d.configure(config)
	}
	config.AddHostKey(signer)
	return tcp(t, func(c net.Conn) {
		conn, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		defer conn.Close()
		go ssh.DiscardRequests(requests)
		for n := range channels {
			channel, requests, err := n.Accept()
			if err != nil {
				return
			}
			go d.session(c, channel, requests)
		}
	})
}

func (d *sshDevice) session(c net.Conn, channel ssh.Channel, requests <-chan *ssh.Request) {
	for r := range requests {
		_ = r.Reply(true, nil)
		if r.Type != "exec" && r.Type != "shell" {
			continue
		}
		go func() {
			exit := d.run(channel)
			if exit < 0 {
				c.Close()
				return
			}
			_, _ = channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(exit)))
			channel.Close()
		}()
	}
}

func overSSH(address string, change ...func(*dossier.SSHStep)) dossier.Step {
	s := &dossier.SSHStep{URL: "ssh://" + address, Username: "{{username}}", Password: "{{password}}"}
	for _, c := range change {
		c(s)
	}
	return dossier.Step{SSH: s, Seconds: 2}
}

func runs(command string) func(*dossier.SSHStep) {
	return func(s *dossier.SSHStep) { s.Run = command }
}

func says5(words string, exit int) func(ssh.Channel) int {
	return func(c ssh.Channel) int { io.WriteString(c, words); io.WriteString(c.Stderr(), "warned"); return exit }
}

func TestSSHLogin(t *testing.T) {
	right, wrong := probes.Args{"username": "root", "password": password}, probes.Args{"username": "root", "password": "admin"}
	for _, interactive := range []bool{false, true} {
		device := &sshDevice{interactive: interactive}
		step := overSSH(device.listen(t))
		step.Success, step.Capture = "reply.host_key.startsWith('ecdsa-sha2-nistp256 SHA256:')", map[string]string{"server": "reply.server"}
		d := driver(t, steps(step))
		got := do(t, d, right)
		assert.Equal(t, probes.Done, got.Outcome, got.Detail)
		assert.Contains(t, got.Detail, "logged in, ecdsa-sha2-nistp256 SHA256:")
		assert.Equal(t, "SSH-2.0-Go", got.Values["server"])
		before := device.tries.Load()
		got = do(t, d, wrong)
		assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
		assert.Equal(t, before+1, device.tries.Load(), "one knock is one try, by whichever method")
		none, err := d.Do(t.Context(), "login-it", nil)
		require.NoError(t, err)
		assert.Equal(t, probes.Refused, none.Outcome, none.Detail)
		assert.Equal(t, before+1, device.tries.Load(), "no credential was sent")
	}
	none, err := driver(t, steps(overSSH((&sshDevice{open: true}).listen(t)))).Do(t.Context(), "login-it", nil)
	require.NoError(t, err)
	assert.Equal(t, probes.Done, none.Outcome, none.Detail)
}

func TestSSHOutcomes(t *testing.T) {
	right := probes.Args{"username": "root", "password": password}
	running := func(run func(ssh.Channel) int) dossier.Step {
		return overSSH((&sshDevice{run: run}).listen(t), runs("version"), func(*dossier.SSHStep) {})
	}
	quick := func(s dossier.Step) dossier.Step { s.Seconds = 1.5; return s }
	dialogue := func(run func(ssh.Channel) int) dossier.Step {
		s := overSSH((&sshDevice{run: run}).listen(t))
		s.SSH.Dialogue = []dossier.Line{{Expect: "# $", Send: new(string), Seconds: 0.5}, {Expect: "4[.]2", Seconds: 0.5}}
		return s
	}
	hang := func(c ssh.Channel) int { io.Copy(io.Discard, c); <-t.Context().Done(); return -1 }
	flood := func(c ssh.Channel) int {
		for {
			if _, err := io.WriteString(c, garbage(4096)); err != nil {
				return -1
			}
		}
	}
	old := &sshDevice{configure: func(c *ssh.ServerConfig) { c.KeyExchanges = []string{"diffie-hellman-group1-sha1"} }}
	oldAddress := old.listen(t)
	for _, c := range []struct {
		name   string
		step   dossier.Step
		want   probes.Outcome
		detail string
	}{
		{"runs a command", running(says5("4.2\n", 0)), probes.Done, "exit 0"},
		{"runs it and fails", running(says5("no such command", 127)), probes.Unexpected, "exit 127: no such command"},
		{"is silent within it", quick(running(hang)), probes.Silent, "logged in, then no answer in time"},
		{"talks without end within it", quick(running(flood)), probes.Unexpected, "the command did not end in time"},
		{"hangs up within it", running(func(ssh.Channel) int { return -1 }), probes.Reset, ""},
		{"leads a dialogue", dialogue(func(c ssh.Channel) int {
			io.WriteString(c, "box# ")
			readLine(c)
			io.WriteString(c, "4.2\r\nbox# ")
			return 0
		}), probes.Done, "dialogue of 2 lines"},
		{"has another prompt", dialogue(says5("menu> ", 0)), probes.Reset, "line 1: it hung up: menu>"},
		{"is silent in a dialogue", dialogue(hang), probes.Silent, "line 1: connected, then nothing came"},
		{"talks without end in a dialogue", dialogue(flood), probes.Unexpected, "line 1: what is expected was not among"},
		{"closed port", overSSH(closedPort(t, "tcp")), probes.Unreachable, ""},
		{"hangs before its version", quick(overSSH(tcp(t, hangs))), probes.Silent, ""},
		{"closes", overSSH(tcp(t, closes)), probes.Reset, ""},
		{"is no SSH", overSSH(tcp(t, says("HTTP/1.1 400 Bad Request\r\n\r\n"+garbage(400)))), probes.Malformed, ""},
		{"garbage without end", quick(overSSH(tcp(t, floods(garbage(4096))))), probes.Malformed, ""},
		{"knows old algorithms only", overSSH(oldAddress), probes.Unexpected, "no algorithm in common for key exchange; legacy: true"},
		{"and is taken so", overSSH(oldAddress, func(s *dossier.SSHStep) { s.Legacy = true }), probes.Done, "logged in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := do(t, driver(t, steps(c.step)), right)
			assert.Equal(t, c.want, got.Outcome, got.Detail)
			assert.Contains(t, got.Detail, c.detail)
			assert.LessOrEqual(t, len(got.Text), maxText)
			assert.NotContains(t, got.Detail, password)
		})
	}
}

func TestSSHReply(t *testing.T) {
	step := overSSH((&sshDevice{run: says5("version 4.2\n", 3)}).listen(t), runs("show {{value}}"))
	step.Success = "reply.exit == 3 && reply.stderr == 'warned' && reply.text == 'version 4.2\\n'"
	step.Capture = map[string]string{"version": `reply.text.find("version (.+)")`}
	got := do(t, driver(t, steps(step)), probes.Args{"username": "root", "password": password, "value": "version"})
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Equal(t, "4.2", got.Values["version"])
	assert.Equal(t, "version 4.2\nwarned", got.Text)
}

func TestSSHKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	device := &sshDevice{run: says5("", 0), configure: func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(_ ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if string(k.Marshal()) == string(signer.PublicKey().Marshal()) {
				return nil, nil
			}
			return nil, io.ErrUnexpectedEOF
		}
	}}
	secret := dossier.NewSecret(string(pem.EncodeToMemory(block)))
	step := overSSH(device.listen(t), func(s *dossier.SSHStep) { s.Username, s.Password, s.Key = "root", "", &secret })
	assert.Equal(t, probes.Done, try(t, step).Outcome)
	assert.Zero(t, device.tries.Load())

	broken := dossier.NewSecret("-----BEGIN PRIVATE KEY----- " + password)
	step.SSH.Key = &broken
	d := twoUnits()
	d.Operations = map[string]dossier.Operation{"it": steps(step)}
	_, err = New(Options{Dossier: d, Unit: "one", Host: func() string { return "" }, Clock: clock{}})
	require.ErrorContains(t, err, "operation it: step 1: ssh: key: is no private key")
	assert.NotContains(t, err.Error(), password)
}

// A captured value does not say where to log in.
func TestSSHGoesWhereTheDossierSays(t *testing.T) {
	first := get(page(t, 200, "192.0.2.9"))
	first.Capture = map[string]string{"there": "reply.body"}
	step := overSSH("{{there}}:22")
	got := do(t, driver(t, steps(first, step)), probes.Args{"username": "root", "password": password})
	assert.Equal(t, probes.Unexpected, got.Outcome)
	assert.True(t, strings.Contains(got.Detail, "must not say where to connect to"), got.Detail)
}
