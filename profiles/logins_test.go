package profiles_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A login is asked the same over every interface: the families of checks differ in names only, and every
// requirement that asks one of passwords asks all.
func TestLoginsAreAskedAlike(t *testing.T) {
	all, err := everything()
	require.NoError(t, err)
	words := map[string]string{"ssh": "SSH on the device", "telnet": "Telnet on the device"}
	for _, set := range embedded(t) {
		for _, kind := range []string{"open", "default", "derived", "bruteforce"} {
			http, ok := set.Check("credentials/http-" + kind)
			for iface, name := range words {
				other, has := set.Check("credentials/" + iface + "-" + kind)
				require.Equal(t, ok, has, "%s: %s-%s", set.Profile.ID, iface, kind)
				if !ok {
					continue
				}
				as := strings.NewReplacer("the HTTP interface", name, "The HTTP interface", name, "http", iface).Replace
				assert.Equal(t, []string{
					as(http.ID), http.Probe, as(string(http.Params)), as(http.Applies), as(http.Given), as(http.Unfair), as(http.Expect), as(http.Otherwise),
					http.Remedy, http.Row, as(http.Feature), as(http.Contradicts),
				}, []string{
					other.ID, other.Probe, string(other.Params), other.Applies, other.Given, other.Unfair, other.Expect, other.Otherwise,
					other.Remedy, other.Row, other.Feature, other.Contradicts,
				})
			}
		}
	}
	asked := 0
	for _, std := range all.Standards {
		for _, r := range std.Requirements {
			for _, c := range r.Cases {
				for _, u := range c.Units {
					for _, kind := range []string{"open", "default", "derived", "bruteforce"} {
						if !contains(u.Checks, "http", kind) {
							continue
						}
						asked++
						assert.True(t, contains(u.Checks, "ssh", kind) && contains(u.Checks, "telnet", kind), "%s %s.%s: %s", std.ID, c.ID, u.ID, kind)
					}
				}
			}
		}
	}
	assert.Greater(t, asked, 40)
}

func contains(checks []string, iface, kind string) bool {
	for _, id := range checks {
		if id == "credentials/"+iface+"-"+kind {
			return true
		}
	}
	return false
}
