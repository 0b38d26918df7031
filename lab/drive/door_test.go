package drive

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
	doors "assay/probes/credentials"
	"assay/profiles/dossier"
)

// What the probes of logins do to a door they can do over SSH and Telnet as well: it takes an
// operation login-ssh or login-telnet, and the unit's login of that name.
func TestDoorsOfShells(t *testing.T) {
	shell := &sshDevice{}
	terminal := tcp(t, func(c net.Conn) {
		for range 3 {
			io.WriteString(c, "login: ")
			user := word(c)
			io.WriteString(c, "Password: ")
			if word(c) == password && user == "root" {
				io.WriteString(c, "\r\n# ")
				io.Copy(io.Discard, c)
				return
			}
			io.WriteString(c, "\r\nLogin incorrect\r\n")
		}
	})
	nobody := dossier.Step{Telnet: &dossier.TelnetStep{URL: "telnet://" + terminal, Dialogue: []dossier.Line{expects("# $")}}, Refused: `reply.text.contains("login: ")`}
	d := driver(t, steps(get("http://{{host}}")), func(o *Options) {
		o.Dossier.Operations = map[string]dossier.Operation{
			"login-ssh":    steps(overSSH(shell.listen(t))),
			"login-telnet": {Steps: []dossier.Step{telnetLogin(terminal, 2)}, Anonymous: []dossier.Step{nobody}},
		}
		for _, name := range []string{"ssh", "telnet"} {
			o.Dossier.Units[0].Logins[name] = dossier.Login{Username: "root", Password: dossier.NewSecret(password)}
		}
	})
	for _, name := range []string{"ssh", "telnet"} {
		door, err := doors.Approach(&probes.Bench{Device: d, Clock: clock{}}, name, 5)
		require.NoError(t, err)
		for knock, want := range map[string]probes.Outcome{"learn": probes.Refused, "right": probes.Done, "nobody": probes.Refused} {
			knocks := map[string]func() (probes.Outcome, error){
				"learn":  func() (probes.Outcome, error) { return door.Learn(t.Context()) },
				"right":  func() (probes.Outcome, error) { return door.Right(t.Context()) },
				"nobody": func() (probes.Outcome, error) { return door.Nobody(t.Context()) },
			}
			got, err := knocks[knock]()
			require.NoError(t, err)
			assert.Equal(t, want, got, "%s over %s", knock, name)
		}
	}
}

// word is one line of what came, without its end.
func word(c io.Reader) string {
	var b strings.Builder
	one := make([]byte, 1)
	for {
		if _, err := io.ReadFull(c, one); err != nil || one[0] == '\n' {
			return strings.TrimRight(b.String(), "\r")
		}
		b.Write(one)
	}
}
