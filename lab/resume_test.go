package lab

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"assay/probes"
	"assay/profiles/plan"
)

func TestDue(t *testing.T) {
	seen := func(attempt int, step, err, notAsked string) probes.Observation {
		o := probes.Observation{Step: step, Attempt: attempt, Error: err, NotAsked: notAsked}
		if err == "" && notAsked == "" {
			o.Facts = []byte(`{}`)
		}
		return o
	}
	for name, c := range map[string]struct {
		earlier []probes.Observation
		attempt int
		due     bool
	}{
		"never begun":                  {nil, 1, true},
		"another unit's":               {[]probes.Observation{of("unit-2", seen(1, "x", "", ""))}, 1, true},
		"its own":                      {[]probes.Observation{of("unit-2", seen(1, "x", Interrupted, "")), of("unit-1", seen(1, "x", "", ""))}, 2, false},
		"another step":                 {[]probes.Observation{seen(1, "y", "", "")}, 1, true},
		"answered":                     {[]probes.Observation{seen(1, "x", "", "")}, 2, false},
		"the bench failed":             {[]probes.Observation{seen(1, "x", "no address", "")}, 2, false},
		"cannot be asked":              {[]probes.Observation{seen(1, "x", "", "needs a button")}, 2, false},
		"under way":                    {[]probes.Observation{seen(1, "x", Interrupted, "")}, 2, true},
		"under way twice":              {[]probes.Observation{seen(1, "x", Interrupted, ""), seen(2, "x", Interrupted, "")}, 3, true},
		"under way, then answered":     {[]probes.Observation{seen(1, "x", Interrupted, ""), seen(2, "x", "", "")}, 3, false},
		"in another order":             {[]probes.Observation{seen(2, "x", "", ""), seen(1, "x", Interrupted, "")}, 3, false},
		"stopped before it was begun":  {[]probes.Observation{seen(1, "x", "", Stopped)}, 2, true},
		"stopped again, then answered": {[]probes.Observation{seen(1, "x", "", Stopped), seen(2, "x", "", "")}, 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			attempt, due := Due(plan.Step{ID: "x"}, "unit-1", c.earlier)
			assert.Equal(t, c.due, due)
			if due {
				assert.Equal(t, c.attempt, attempt)
			}
		})
	}
}

func of(unit string, o probes.Observation) probes.Observation {
	o.Unit = unit
	return o
}
