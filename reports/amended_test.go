package reports

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"assay/lab/evidence"
)

func signOff(role, by, key string) evidence.Amendment {
	return evidence.Amendment{Kind: evidence.AmendSignOff, Role: role, By: by, Hint: key}
}

func TestMatch(t *testing.T) {
	r, a := evidence.RoleReviewer, evidence.RoleApprover
	roles := []string{r, r, a}
	for name, c := range map[string]struct {
		signed  []evidence.Amendment
		missing []string
	}{
		"nobody":             {nil, roles},
		"all":                {[]evidence.Amendment{signOff(r, "A", "1"), signOff(r, "B", "2"), signOff(a, "C", "3")}, nil},
		"whoever is in two":  {[]evidence.Amendment{signOff(r, "A", "1"), signOff(r, "B", "2"), signOff(a, "A", "1")}, []string{a}},
		"not the first best": {[]evidence.Amendment{signOff(r, "A", "1"), signOff(a, "A", "1"), signOff(r, "B", "2"), signOff(r, "C", "3")}, nil},
		"a name of two keys": {[]evidence.Amendment{signOff(r, "A", "1"), signOff(r, "a.", "2"), signOff(a, "C", "3")}, []string{r}},
		"a key of two names": {[]evidence.Amendment{signOff(r, "A", "1"), signOff(r, "B", "1"), signOff(a, "C", "3")}, []string{r}},
		"only approvers":     {[]evidence.Amendment{signOff(a, "A", "1"), signOff(a, "B", "2")}, []string{r, r}},
	} {
		got := match(roles, c.signed)
		assert.ElementsMatch(t, c.missing, got.Missing, name)
		assert.Equal(t, len(c.missing) == 0, got.Approved, name)
		assert.Len(t, got.By, len(roles)-len(c.missing), name)
	}
}

// TestMatchEnds hands in more sign-offs than anybody can try in all ways.
func TestMatchEnds(t *testing.T) {
	var roles []string
	var signed []evidence.Amendment
	for _, role := range []string{evidence.RoleReviewer, evidence.RoleApprover} {
		for range 4 {
			roles = append(roles, role)
		}
		for n := range 300 {
			signed = append(signed, signOff(role, fmt.Sprint(role, n), fmt.Sprint(role, n%3)))
		}
	}
	got := match(roles, signed)
	assert.False(t, got.Approved, "three keys for four")
	assert.NotEmpty(t, got.Missing)
}
