package mcuboot

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	good := map[string]Version{
		"0.0.0":                    {},
		"1.2.3":                    {1, 2, 3, 0},
		"1.2.3+4":                  {1, 2, 3, 4},
		"255.255.65535+4294967295": {255, 255, 65535, 4294967295},
	}
	for text, want := range good {
		got, err := ParseVersion(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got)
		assert.Equal(t, text, got.String())
	}
	got, err := ParseVersion("1.2.0+0")
	require.NoError(t, err)
	assert.Equal(t, "1.2.0", got.String())

	for _, text := range []string{"", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.3+", "1.2.3-rc1", "256.0.0", "0.256.0",
		"0.0.65536", "0.0.0+4294967296", "01.2.3", "+1.2.3", "-1.2.3", "1.2.3+4+5", "1..3", " 1.2.3"} {
		_, err := ParseVersion(text)
		assert.Error(t, err, text)
	}
}

func TestVersionCompare(t *testing.T) {
	ascending := []string{"0.0.1", "0.1.0", "0.1.0+1", "0.9.65535", "0.10.0", "1.0.0", "1.0.0+2", "1.0.1", "2.0.0"}
	for i, a := range ascending {
		for j, b := range ascending {
			n, err := compareVersions(a, b)
			require.NoError(t, err)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			assert.Equal(t, want, n, "%s against %s", a, b)
		}
	}
	_, err := compareVersions("1.0.0", "x")
	assert.Error(t, err)
}
