package format

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHarmless(t *testing.T) {
	for _, tc := range []struct {
		name    string
		payload string
		want    int
	}{
		{"no filling", "0123456789", 5},
		{"filling at the end", "code\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
		{"the longer filling", "\x00\x00\x00\x00\x00\x00\x00\x00code\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 17},
		{"a run of letters is no filling", "aaaaaaaaaaaaaaaaaaaab", 10},
		{"one byte", "x", 0},
	} {
		assert.Equal(t, tc.want, Harmless([]byte(tc.payload)), tc.name)
	}
}
