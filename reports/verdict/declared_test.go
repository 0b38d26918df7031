package verdict_test

import (
	"slices"
	"strings"
	"testing"

	"assay/probes"
	"assay/profiles"
	"assay/profiles/dossier"
	"assay/reports/verdict"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// listens declares one port in a row of table 28.
func listens(id, status, protocol string, port int, initialized *bool) dossier.LogIntf {
	return dossier.LogIntf{ID: id, Description: id, Status: status, Listens: []dossier.Socket{{Protocol: protocol, Port: port, Initialized: initialized}}}
}

// Seen but not declared, declared but not seen: the reason names the port, and the row or the table to compare.
func TestDeclarationAgainstObservation(t *testing.T) {
	set, no := baseline(t), false
	const undeclared, missing = "exposure/undeclared", "exposure/missing"
	const unknown = "The device answers where the dossier declares no network service in use: tcp/2323 telnet"
	for _, c := range []struct {
		name    string
		declare func(d *dossier.Dossier)
		saw     change
		fails   string // check; "": both pass
		reason  string
		rows    []string
	}{
		{"as declared", func(*dossier.Dossier) {}, nil, "", "", nil},
		{"hidden", func(*dossier.Dossier) {}, telnet(), undeclared, unknown + " (not declared in 28-LogIntf)", []string{"28-LogIntf"}},
		{"declared", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "tcp", 2323, nil))
		}, telnet(), "", "", nil},
		{"declared as a service", func(d *dossier.Dossier) {
			d.IXIT.SoftServ = []dossier.SoftServ{{ID: "SoftServ-1", Listens: []dossier.Socket{{Protocol: "tcp", Port: 2323}}}}
		}, telnet(), "", "", nil},
		{"over the other transport", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "disabled", "udp", 2323, nil))
		}, telnet(), undeclared, unknown + " (not declared in 28-LogIntf)", []string{"28-LogIntf"}},
		{"the same digits", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "disabled", "tcp", 232, nil), listens("LogIntf-5", "disabled", "tcp", 23230, nil))
		}, telnet(), undeclared, unknown + " (not declared in 28-LogIntf)", []string{"28-LogIntf"}},
		{"declared disabled", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "disabled", "tcp", 2323, nil))
		}, telnet(), undeclared, unknown + " (28-LogIntf/LogIntf-4)", []string{"28-LogIntf/LogIntf-4"}},
		{"enabled here, disabled there", func(d *dossier.Dossier) {
			d.IXIT.SoftServ = []dossier.SoftServ{{ID: "SoftServ-1", Status: "enabled", Listens: []dossier.Socket{{Protocol: "tcp", Port: 2323}}}}
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "disabled", "tcp", 2323, nil))
		}, telnet(), undeclared, unknown + " (13-SoftServ/SoftServ-1, 28-LogIntf/LogIntf-4)", []string{"13-SoftServ/SoftServ-1", "28-LogIntf/LogIntf-4"}},
		{"until it is set up", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "tcp", 2323, &no))
		}, telnet(), "", "", nil},
		{"until it is set up, and not there", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "tcp", 2323, &no))
		}, nil, "", "", nil},
		{"until it is set up, which it is", func(d *dossier.Dossier) {
			d.Units[0].State = "commissioned"
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "tcp", 2323, &no))
		}, telnet(), undeclared, unknown + " (28-LogIntf/LogIntf-4)", []string{"28-LogIntf/LogIntf-4"}},
		{"nothing declared", func(d *dossier.Dossier) { d.IXIT = dossier.IXIT{} }, nil, undeclared,
			"The device answers where the dossier declares no network service in use: tcp/8443 tls (not declared in 28-LogIntf), " +
				"tcp/8884 tls (not declared in 28-LogIntf), udp/5684 dtls (not declared in 28-LogIntf)", []string{"28-LogIntf"}},
		{"declared, not there", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "tcp", 22, nil))
		}, nil, missing, "The dossier declares a network service in use that does not answer: tcp/22 (28-LogIntf/LogIntf-4)", []string{"28-LogIntf/LogIntf-4"}},
		{"declared, closed", func(d *dossier.Dossier) {
			d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "udp", 53, nil))
		}, nil, missing, "The dossier declares a network service in use that does not answer: udp/53 (28-LogIntf/LogIntf-4)", []string{"28-LogIntf/LogIntf-4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := thermostat()
			delete(d.Features, "telnet_login") // whether there is one is not denied, and is open
			c.declare(d)
			r := judge(t, d, set, look(t, d, set, map[string]change{"exposure/services": c.saw})...)
			failed, _ := with(r, verdict.Fail)
			if c.fails == "" {
				assert.Empty(t, failed)
				assert.Equal(t, verdict.Pass, requirement(t, r, "5.6-1").Verdict)
				return
			}
			// A hidden Telnet is a way to log in, too; that is another check's business.
			failed = slices.DeleteFunc(failed, func(id string) bool { return id == "exposure/undeclared-login" })
			require.Equal(t, []string{c.fails}, failed)
			assert.Equal(t, c.reason, check(t, r, c.fails).Reason)
			assert.Equal(t, c.rows, check(t, r, c.fails).Rows)
		})
	}
}

// Who denies that there is anything unused is believed only as far as the scan bears it out.
func TestNothingUnused(t *testing.T) {
	set, d := baseline(t), thermostat()
	d.Features["unused_interfaces"] = dossier.Feature{Because: "every port is needed"}
	r := judge(t, d, set, look(t, d, set, nil)...)
	assert.Equal(t, verdict.NotApplicable, requirement(t, r, "5.6-1").Verdict)
	assert.Equal(t, verdict.Conformant, r.Conformity)

	r = judge(t, d, set, look(t, d, set, map[string]change{"exposure/services": telnet()})...)
	assert.Equal(t, verdict.Fail, requirement(t, r, "5.6-1").Verdict)
	assert.Contains(t, requirement(t, r, "5.6-1").Reason, "the dossier denies unused_interfaces, but observation o-exposure/services")
	assert.Contains(t, check(t, r, "exposure/undeclared").Reason, "tcp/2323 telnet (not declared in 28-LogIntf)")

	obs := look(t, d, set, nil)
	for i, o := range obs {
		if o.Probe == "exposure/services" {
			obs[i] = failed(o, "the cable fell off")
		}
	}
	assert.Equal(t, verdict.Inconclusive, requirement(t, judge(t, d, set, obs...), "5.6-1").Verdict, "nobody could look")
}

// A port that nobody recognised may be a login, and so may one that is not even listed: no undeclared login is claimed for either.
func TestUnrecognisedPortMayBeALogin(t *testing.T) {
	const login = "exposure/undeclared-login"
	set := baseline(t)
	odd := change{
		"tcp_open": []string{"tcp/2323", "tcp/8443", "tcp/8884"}, "tcp_open_count": 3,
		"services": []string{"tcp/2323 unknown", "tcp/8443 tls", "tcp/8884 tls", "udp/5684 dtls"},
	}
	d := thermostat()
	r := judge(t, d, set, look(t, d, set, map[string]change{"exposure/services": odd})...)
	assert.Equal(t, verdict.Inconclusive, check(t, r, login).Verdict)
	assert.Equal(t, verdict.Inconclusive, requirement(t, r, "5.1-1").Verdict)
	assert.Equal(t, verdict.Fail, check(t, r, "exposure/undeclared").Verdict)

	d.IXIT.LogIntf = append(d.IXIT.LogIntf, listens("LogIntf-4", "enabled", "tcp", 2323, nil))
	r = judge(t, d, set, look(t, d, set, map[string]change{"exposure/services": odd})...)
	assert.Equal(t, verdict.Pass, check(t, r, login).Verdict, "who declares the port has said what it is")

	d = thermostat()
	r = judge(t, d, set, look(t, d, set, map[string]change{"exposure/services": {"tcp_open_count": 65}})...)
	assert.Equal(t, verdict.Inconclusive, check(t, r, login).Verdict)
	assert.Equal(t, verdict.Inconclusive, check(t, r, "exposure/undeclared").Verdict)
}

// On a bench without a scanner nothing is known about ports, and nothing is claimed.
func TestWithoutScanner(t *testing.T) {
	set, d := baseline(t), thermostat()
	obs := look(t, d, set, nil)
	for i, o := range obs {
		if o.Probe == "exposure/services" {
			obs[i] = notAsked(o, profiles.NotAskedNeeds+"instrument "+string(probes.InstrumentScanner)+": none")
		}
	}
	r := judge(t, d, set, obs...)
	assert.Equal(t, verdict.Inconclusive, requirement(t, r, "5.6-1").Verdict)
	assert.Equal(t, verdict.Incomplete, r.Conformity)
}

// A login that the dossier denies is asked about where a scan finds it. SSH may take keys alone, so that
// a port which the dossier declares contradicts nothing.
func TestDeniedLoginThatTheScanFinds(t *testing.T) {
	set := baseline(t)
	saw := func(service string) map[string]change {
		at, _, _ := strings.Cut(service, " ")
		return map[string]change{"exposure/services": {
			"tcp_open": []string{at, "tcp/8443", "tcp/8884"}, "tcp_open_count": 3, "services": []string{service, "tcp/8443 tls", "tcp/8884 tls", "udp/5684 dtls"},
		}}
	}
	for _, c := range []struct {
		name, service string
		declared      bool
		denied        []string
	}{
		{"telnet", "tcp/23 telnet", false, []string{"credentials/telnet-open", "credentials/telnet-default", "credentials/telnet-derived", "credentials/telnet-bruteforce"}},
		{"telnet, declared", "tcp/23 telnet", true, []string{"credentials/telnet-open"}},
		{"ssh", "tcp/22 ssh", false, []string{"credentials/ssh-open", "credentials/ssh-default", "credentials/ssh-derived", "credentials/ssh-bruteforce"}},
		{"ssh, declared", "tcp/22 ssh", true, nil},
		{"something else", "tcp/9000 unknown", false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := thermostat()
			if c.declared {
				port := 22
				if c.service == "tcp/23 telnet" {
					port = 23
				}
				d.IXIT.LogIntf = append(d.IXIT.LogIntf, dossier.LogIntf{
					ID: "LogIntf-9", Description: "console", Status: "enabled", Listens: []dossier.Socket{{Protocol: "tcp", Port: port}},
				})
			}
			r := judge(t, d, set, look(t, d, set, saw(c.service))...)
			for _, id := range c.denied {
				assert.Equal(t, verdict.Fail, check(t, r, id).Verdict, id)
				assert.Contains(t, check(t, r, id).Reason, "_login, but observation o-exposure/services")
			}
			for _, id := range []string{"credentials/telnet-open", "credentials/ssh-open"} {
				if !slices.Contains(c.denied, id) {
					assert.Equal(t, verdict.NotApplicable, check(t, r, id).Verdict, id)
				}
			}
		})
	}
}
