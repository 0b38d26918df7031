package mcuboot

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/firmware/format"
)

func TestBuildRefuses(t *testing.T) {
	odd, err := rsa.GenerateKey(rand.Reader, 2056)
	require.NoError(t, err)
	_, err = Build(Spec{Payload: []byte{1}}, odd)
	assert.ErrorIs(t, err, format.ErrAlgorithm, "a size that the format has no type for")

	_, err = Build(Spec{Payload: []byte{1}}, nil)
	assert.ErrorIs(t, err, format.ErrUnsigned)

	for want, spec := range map[string]Spec{
		"ask for encryption":   {Flags: FlagAES256},
		"are too large":        {HeaderSize: 1 << 16},
		"do not fit the slot":  {Payload: make([]byte, 100), SlotSize: 100},
		"area of 65544 bytes":  {Protected: []TLV{{0xa0, make([]byte, 65536)}}},
		"pure signature needs": {Pure: true},
	} {
		_, err := Build(spec, signer(t, "p256"))
		assert.ErrorContains(t, err, want)
	}
}
