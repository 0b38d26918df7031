package evidence

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOneWriterOnly(t *testing.T) {
	j := startRun(t, t.TempDir())
	_, err := Resume(j.Dir(), ticking())
	require.ErrorIs(t, err, ErrBusy)
	_, err = Hold(j.Dir())
	require.ErrorIs(t, err, ErrBusy)
	_, err = Open(j.Dir())
	require.NoError(t, err, "readers are not kept away")
	require.NoError(t, j.Close())

	held, err := Hold(j.Dir())
	require.NoError(t, err)
	_, err = Resume(j.Dir(), ticking())
	require.ErrorIs(t, err, ErrBusy)
	require.NoError(t, held.Close())
	again, err := Hold(j.Dir())
	require.NoError(t, err)
	require.NoError(t, again.Close())
}
