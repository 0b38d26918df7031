package format

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCompareVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.2.3", "1.2.3", 0}, {"1.2.3", "1.10.0", -1}, {"2", "10", -1}, {"1.2", "1.2.0", -1}, {"01.2", "1.2", 0},
		{"1.2.0-rc1", "1.2.0-rc2", -1}, {"2026.11_2", "2026.11_10", -1}, {"18446744073709551616", "9", 1}, {"b", "a", 1},
	} {
		got, err := CompareVersions(c.a, c.b)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, "%s and %s", c.a, c.b)
		back, err := CompareVersions(c.b, c.a)
		require.NoError(t, err)
		assert.Equal(t, -c.want, back)
	}
	_, err := CompareVersions("", "1")
	require.ErrorIs(t, err, ErrMalformed)
}
