package profiles_test

import (
	"testing"

	"assay/profiles"

	"github.com/stretchr/testify/assert"
)

// Where nobody is asked beside them, all checks of a unit have a condition, or none has: one that always applies
// would else pass the unit alone, for a product without any of the ways in or out that the others look at.
func TestChecksOfAUnitApplyAlike(t *testing.T) {
	seen := 0
	for id, set := range embedded(t) {
		if set.Profile.Reviews == profiles.NoReviews {
			continue // it asks nobody, and says so
		}
		for _, r := range set.Required() {
			for _, c := range r.Cases {
				for _, u := range c.Units {
					if len(u.Checks) == 0 || u.Review != "" {
						continue
					}
					seen++
					always := 0
					for _, name := range u.Checks {
						check, ok := set.Check(name)
						if assert.True(t, ok, name) && len(check.When.Features()) == 0 {
							always++
						}
					}
					assert.Contains(t, []int{0, len(u.Checks)}, always, "%s: %s.%s: %v", id, c.ID, u.ID, u.Checks)
				}
			}
		}
	}
	assert.NotZero(t, seen)
}
