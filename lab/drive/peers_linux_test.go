package drive

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	"assay/profiles/dossier"
)

// Shells that nobody here wrote: Debian's dropbear and inetutils' telnetd.

// dropbear is an SSH server in a mount namespace of its own, in which root has the label's password.
func dropbear(t *testing.T) string {
	t.Helper()
	program, keys := installed(t, "dropbear", "dropbear-bin"), installed(t, "dropbearkey", "dropbear-bin")
	unshare, openssl := installed(t, "unshare", "util-linux"), installed(t, "openssl", "openssl")
	if os.Getuid() != 0 {
		t.Skip("needs root: dropbear lets in who stands in /etc/shadow, of which it gets one of its own")
	}
	dir := t.TempDir()
	hash, err := exec.CommandContext(t.Context(), openssl, "passwd", "-6", password).Output()
	require.NoError(t, err)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	passwd := write("passwd", "root:x:0:0:root:"+dir+":/bin/sh\n")
	require.NoError(t, os.Chmod(passwd, 0o644))
	shadow := write("shadow", "root:"+strings.TrimSpace(string(hash))+":19000:0:99999:7:::\n")
	hostKey := filepath.Join(dir, "host.key")
	require.NoError(t, exec.CommandContext(t.Context(), keys, "-t", "ed25519", "-f", hostKey).Run())
	address := closedPort(t, "tcp")
	start(t, unshare, "--mount", "--kill-child", "sh", "-ec", fmt.Sprintf(
		`mount --bind %s /etc/passwd; mount --bind %s /etc/shadow; exec %s -F -E -m -p %s -r %s`, passwd, shadow, program, address, hostKey))
	return address
}

func TestDropbear(t *testing.T) {
	address := dropbear(t)
	right, wrong := probes.Args{"username": "root", "password": password}, probes.Args{"username": "root", "password": "admin"}
	d := driver(t, steps(slowly(overSSH(address))))
	got := until(t, d, right)
	require.Equal(t, probes.Done, got.Outcome, got.Detail)
	assert.Contains(t, got.Detail, "logged in, ssh-ed25519 SHA256:")
	got = do(t, d, wrong)
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	none, err := d.Do(t.Context(), "login-it", nil)
	require.NoError(t, err)
	assert.Equal(t, probes.Refused, none.Outcome, none.Detail)

	step := slowly(overSSH(address, runs("echo four; exit 4")))
	step.Success = "reply.exit == 4 && reply.text == 'four\\n' && reply.server.contains('dropbear')"
	assert.Equal(t, probes.Done, do(t, driver(t, steps(step)), right).Outcome)

	step = slowly(overSSH(address))
	step.SSH.Dialogue = []dossier.Line{replies("[#$] $", "echo $((40+2))"), {Expect: "(?m)^42", Seconds: 5}}
	got = do(t, driver(t, steps(step)), right)
	assert.Equal(t, probes.Done, got.Outcome, got.Detail)
}

// slowly gives a step time on a busy machine.
func slowly(s dossier.Step) dossier.Step { s.Seconds = 15; return s }

// telnetd is inetutils' server, started for each connection as inetd would, with a login of three lines.
func telnetd(t *testing.T) string {
	t.Helper()
	program := installed(t, "telnetd", "inetutils-telnetd")
	if _, err := os.Stat("/dev/ptmx"); err != nil {
		t.Skip("needs pseudo-terminals: /dev/ptmx")
	}
	login := filepath.Join(t.TempDir(), "login")
	require.NoError(t, os.WriteFile(login, []byte(`#!/bin/sh
printf 'login: '; read -r name
stty -echo; printf 'Password: '; read -r word; stty echo
if [ "$name" != owner ] || [ "$word" != '`+password+`' ]; then printf '\nLogin incorrect\n'; sleep 20; exit 1; fi
printf '\n# '
while read -r command; do [ "$command" = version ] && echo 'version 4.2.1'; printf '# '; done
`), 0o700))
	ctx, cancel := context.WithCancel(t.Context())
	address := tcp(t, func(c net.Conn) {
		file, err := c.(*net.TCPConn).File()
		if err != nil {
			return
		}
		defer file.Close()
		c.Close() // the program has it now
		cmd := exec.CommandContext(ctx, program, "-h", "-E", login)
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = file, file, file, time.Second
		_ = cmd.Run()
	})
	t.Cleanup(cancel)
	return address
}

func TestTelnetd(t *testing.T) {
	step := telnetLogin(telnetd(t), 10)
	step.Telnet.Dialogue[0].Seconds, step.Telnet.Dialogue[1].Seconds = 10, 10
	command := "version"
	step.Telnet.Dialogue[2].Send = &command
	step.Telnet.Dialogue = append(step.Telnet.Dialogue, dossier.Line{Expect: `(?s)version \d.*# $`, Seconds: 10})
	step.Capture = map[string]string{"version": `reply.text.find("version ([0-9.]+)")`}
	d := driver(t, steps(step))
	got := do(t, d, probes.Args{"username": "owner", "password": password})
	require.Equal(t, probes.Done, got.Outcome, "%s\n%q", got.Detail, got.Text)
	assert.Equal(t, "4.2.1", got.Values["version"])
	assert.NotContains(t, got.Text, "\xff")
	began := time.Now()
	got = do(t, d, probes.Args{"username": "owner", "password": "admin"})
	assert.Equal(t, probes.Refused, got.Outcome, got.Detail)
	assert.Less(t, time.Since(began), 10*time.Second, "a no that the recipe knows is not waited out")
}
