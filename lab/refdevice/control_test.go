package refdevice

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseControl(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]control{
		"start":            {verb: "start"},
		"power on":         {verb: "power", what: "on"},
		" power  off ":     {verb: "power", what: "off"},
		"button reset 10":  {verb: "button", what: "reset", holds: 10 * time.Second},
		"button reset 0.5": {verb: "button", what: "reset", holds: 500 * time.Millisecond},
	} {
		have, err := parseControl(line)
		require.NoError(t, err, line)
		require.Equal(t, want, have, line)
	}
	for _, line := range []string{"", "stop", "power", "power up", "button reset", "button reset -1", "button reset NaN", "button reset 1e9", "start now"} {
		_, err := parseControl(line)
		require.Error(t, err, line)
	}
}

func FuzzParseControl(f *testing.F) {
	for _, line := range []string{"start", "power on", "power off", "button reset 10", "button reset 0.25", "button x 1e300", ""} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseControl(line)
		if err != nil {
			return
		}
		if c.holds < 0 || c.holds > time.Hour {
			t.Fatalf("button held for %v", c.holds)
		}
		if words := strings.Fields(line); c.verb != words[0] {
			t.Fatalf("%q became %q", line, c.verb)
		}
	})
}
