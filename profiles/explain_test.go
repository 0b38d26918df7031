package profiles

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/profiles/expr"
)

func TestClauses(t *testing.T) {
	e, err := expr.Check(map[string]expr.Type{"called": "bool", "tries": "int"}, map[string]expr.Type{"services": "list"})
	require.NoError(t, err)
	p, err := e.Compile(`facts.called && facts.tries > 3 && dossier.services.size() > 0 && (facts.tries < 9 || facts.called)`)
	require.NoError(t, err)
	assert.Equal(t, []Clause{
		{"facts.called", ClauseHolds}, {"facts.tries > 3", ClauseFails}, {"dossier.services.size() > 0", ClauseDeclared}, {"(facts.tries < 9 || facts.called)", ClauseHolds},
	}, parts(p, map[string]any{"called": true, "tries": int64(2)}))
	assert.Equal(t, ClauseUnknown, parts(p, map[string]any{"called": true})[1].Outcome)
	assert.Nil(t, parts(nil, nil))
}
