package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"assay/reports/verdict"
)

// Logins over SSH and Telnet: Debian's dropbear and inetutils' telnetd, and an SSH server of our own that locks, which
// neither of them does.

const (
	lockingSSH = "locking-ssh" // an SSH server for root with the password in its argument
	superd     = "superd"      // starts a program for each connection to port 23, as inetd does

	locksAfter = 5
	lockLasts  = 4 * time.Second
	lockout    = ", lockout_after: 5, lockout_seconds: 4"
)

func sshLogin(password string) mechanism {
	return mechanism{name: "ssh", username: "root", password: password, other: anothers, recipe: `    steps:
      - ssh: {url: "ssh://{{host}}", username: "{{username}}", password: "{{password}}"}
        seconds: 15
`}
}

func telnetLogin(password string) mechanism {
	return mechanism{name: "telnet", username: "root", password: password, other: anothers, recipe: `    steps:
      - telnet:
          url: "telnet://{{host}}"
          dialogue:
            - {expect: "login: $", send: "{{username}}", seconds: 15}
            - {expect: "Password: $", send: "{{password}}", seconds: 15}
            - {expect: "# $", seconds: 15}
        refused: reply.text.contains("incorrect")
        seconds: 30
    anonymous:
      - telnet: {url: "telnet://{{host}}", dialogue: [{expect: "# $", seconds: 15}]}
        refused: reply.text.contains("login:")
        seconds: 15
`}
}

// dropbear plugs an SSH server in that has accounts of its own, all of them the system's; a blank password is none.
func dropbear(t *testing.T, number int, accounts map[string]string, more ...string) *cable {
	t.Helper()
	return plug(t, number, nil, 22, "unshare", "--mount", "sh", "-ec", dropbearScript(t, t.TempDir(), accounts, more...))
}

// dropbearScript makes files of accounts and tells how the server is started among them, in a mount namespace.
func dropbearScript(t *testing.T, dir string, accounts map[string]string, more ...string) string {
	t.Helper()
	passwd, shadow := "", ""
	for name, password := range accounts {
		hash := ""
		if password != "" {
			said, err := exec.CommandContext(t.Context(), "openssl", "passwd", "-6", password).Output()
			require.NoError(t, err)
			hash = strings.TrimSpace(string(said))
		}
		passwd += name + ":x:0:0::" + dir + ":/bin/sh\n"
		shadow += name + ":" + hash + ":19000:0:99999:7:::\n"
	}
	key := filepath.Join(dir, "host.key")
	said, err := exec.CommandContext(t.Context(), installed("dropbearkey"), "-t", "ed25519", "-f", key).CombinedOutput()
	require.NoError(t, err, string(said))
	return fmt.Sprintf(`mount --bind %s /etc/passwd; mount --bind %s /etc/shadow; exec %s -F -E -m -p 22 -P %s -r %s %s`,
		written(t, dir, "passwd", passwd), written(t, dir, "shadow", shadow), installed("dropbear"), filepath.Join(dir, "pid"), key, strings.Join(more, " "))
}

// telnetd plugs inetutils' server in, with a login of a few lines that holds what a shell's pattern of name and
// password fits; one that locks turns everybody away for a while.
func telnetd(t *testing.T, number int, fits string, locks bool) *cable {
	t.Helper()
	dir := t.TempDir()
	count := ""
	if locks {
		count = fmt.Sprintf(`if [ "$(cat wrong 2>/dev/null | wc -l)" -ge %d ] && [ $(($(date +%%s) - $(stat -c %%Y wrong))) -le %d ]; then
	touch wrong # who goes on trying stays locked out
	echo; echo 'Login incorrect'; read -r _; exit 1
fi
`, locksAfter, int(lockLasts.Seconds())-1)
	}
	login := written(t, dir, "login", `#!/bin/sh
cd `+dir+`
printf 'login: '; read -r name
stty -echo; printf 'Password: '; read -r word; stty echo
`+count+`case "$name/$word" in
`+fits+`) rm -f wrong; printf '\n# '; read -r _ ;;
*) [ ! -e wrong ] || [ "$(wc -l <wrong)" -lt `+fmt.Sprint(locksAfter)+` ] || rm wrong; echo >>wrong; echo; echo 'Login incorrect'; read -r _ ;;
esac
`)
	require.NoError(t, os.Chmod(login, 0o700))
	return plug(t, number, nil, 23, superd, installed("telnetd"), "-h", "-E", login)
}

// insideLogins runs a profile against each of them.
func insideLogins(t *testing.T) {
	own := map[string]string{"root": unique}
	const mac = "005301" // the end of the first cable's strangerMAC; each case has its own number
	tail := func(number int) string { return mac[:4] + fmt.Sprintf("%02x", number) }
	for name, c := range map[string]struct {
		number       int
		device       func(t *testing.T, number int) (*cable, mechanism)
		requirements string
		code         int
		want         wanted
	}{
		"dropbear has no lock-out": {1, func(t *testing.T, n int) (*cable, mechanism) {
			return dropbear(t, n, own), sshLogin(unique)
		}, "5.1-1, 5.1-2, 5.1-5, 5.5-5", exitNonConformant, wanted{
			"5.1-1": verdict.Pass, "5.1-2": verdict.Pass, "5.5-5": verdict.Pass, "5.1-5": verdict.Fail,
			"credentials/ssh-open": verdict.Pass, "credentials/ssh-default": verdict.Pass, "credentials/ssh-derived": verdict.Pass,
			"credentials/ssh-bruteforce": verdict.Fail, "credentials/telnet-open": verdict.NotApplicable,
		}},
		"dropbear with a default login": {2, func(t *testing.T, n int) (*cable, mechanism) {
			return dropbear(t, n, map[string]string{"root": unique, "admin": "admin"}), sshLogin(unique)
		}, "5.1-1", exitNonConformant, wanted{"credentials/ssh-default": verdict.Fail}},
		"dropbear asks for no password": {3, func(t *testing.T, n int) (*cable, mechanism) {
			return dropbear(t, n, map[string]string{"root": ""}, "-B"), sshLogin(unique)
		}, "5.5-5", exitNonConformant, wanted{"credentials/ssh-open": verdict.Fail}},
		"dropbear with the end of its MAC": {4, func(t *testing.T, n int) (*cable, mechanism) {
			return dropbear(t, n, map[string]string{"root": tail(n)}), sshLogin(tail(n))
		}, "5.1-2", exitNonConformant, wanted{"credentials/ssh-derived": verdict.Fail}},
		"an SSH server that locks": {5, func(t *testing.T, n int) (*cable, mechanism) {
			m := sshLogin(unique)
			m.lockout = lockout
			return plug(t, n, nil, 22, lockingSSH, unique), m
		}, "5.1-1, 5.1-2, 5.1-5, 5.5-5", exitDone, wanted{"credentials/ssh-bruteforce": verdict.Pass, "credentials/ssh-default": verdict.Pass}},
		"telnetd has no lock-out": {6, func(t *testing.T, n int) (*cable, mechanism) {
			return telnetd(t, n, "root/"+unique, false), telnetLogin(unique)
		}, "5.1-1, 5.1-2, 5.1-5, 5.5-5", exitNonConformant, wanted{
			"5.1-1": verdict.Pass, "5.1-2": verdict.Pass, "5.5-5": verdict.Pass, "5.1-5": verdict.Fail,
			"credentials/telnet-open": verdict.Pass, "credentials/telnet-default": verdict.Pass, "credentials/telnet-derived": verdict.Pass,
			"credentials/telnet-bruteforce": verdict.Fail, "credentials/ssh-open": verdict.NotApplicable,
		}},
		"telnetd with a default login": {7, func(t *testing.T, n int) (*cable, mechanism) {
			return telnetd(t, n, "root/"+unique+"|admin/admin", false), telnetLogin(unique)
		}, "5.1-1", exitNonConformant, wanted{"credentials/telnet-default": verdict.Fail}},
		"telnetd takes any password": {8, func(t *testing.T, n int) (*cable, mechanism) {
			return telnetd(t, n, "root/*", false), telnetLogin(unique)
		}, "5.5-5", exitNonConformant, wanted{"credentials/telnet-open": verdict.Fail}},
		"telnetd with the end of its MAC": {9, func(t *testing.T, n int) (*cable, mechanism) {
			return telnetd(t, n, "root/"+tail(n), false), telnetLogin(tail(n))
		}, "5.1-2", exitNonConformant, wanted{"credentials/telnet-derived": verdict.Fail}},
		"telnetd with a login that locks": {10, func(t *testing.T, n int) (*cable, mechanism) {
			m := telnetLogin(unique)
			m.lockout = lockout
			return telnetd(t, n, "root/"+unique, true), m
		}, "5.1-5", exitDone, wanted{"credentials/telnet-bruteforce": verdict.Pass}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device, m := c.device(t, c.number)
			args, out := attach(t, device, m, c.requirements)
			r := launch(t, nil, args...)
			require.Equal(t, c.code, r.code())
			got := verdicts(r.report())
			for id, want := range c.want {
				assert.Equal(t, want, got[id], id)
			}
			sealedRun(t, out)
		})
	}
}

// beLockingSSH lets root in with one password, and nobody for a while after a few wrong ones.
func beLockingSSH(password string) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var until time.Time
	wrong := 0
	config := &ssh.ServerConfig{MaxAuthTries: 2, PasswordCallback: func(c ssh.ConnMetadata, given []byte) (*ssh.Permissions, error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case time.Now().Before(until):
			return nil, errors.New("locked")
		case c.User() == "root" && string(given) == password:
			wrong = 0
			return nil, nil
		}
		if wrong++; wrong == locksAfter {
			wrong, until = 0, time.Now().Add(lockLasts)
		}
		return nil, errors.New("wrong")
	}}
	config.AddHostKey(signer)
	return serve(22, func(c net.Conn) {
		conn, channels, requests, err := ssh.NewServerConn(c, config)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for n := range channels {
			_ = n.Reject(ssh.Prohibited, "a login is all there is")
		}
		_ = conn.Close()
	})
}

// beSuperd starts a program for each connection, as inetd does.
func beSuperd(program string, args ...string) error {
	return serve(23, func(c net.Conn) {
		file, err := c.(*net.TCPConn).File()
		if err != nil {
			return
		}
		defer file.Close()
		_ = c.Close() // the program has it now
		cmd := exec.Command(program, args...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = file, file, file
		_ = cmd.Run()
	})
}

func serve(port int, talk func(net.Conn)) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			talk(c)
		}()
	}
}
