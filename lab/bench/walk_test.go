package bench

import (
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/probes"
)

// noLeaks fails a test that leaves goroutines behind. It is called first, so that it is checked last.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		now := runtime.NumGoroutine()
		for end := time.Now().Add(10 * time.Second); now > before && time.Now().Before(end); now = runtime.NumGoroutine() {
			time.Sleep(time.Millisecond)
		}
		if now > before {
			buf := make([]byte, 1<<20)
			t.Errorf("%d goroutines, %d before:\n%s", now, before, buf[:runtime.Stack(buf, true)])
		}
	})
}

func do(t *testing.T, b *Bench, operation string, args probes.Args) probes.Result {
	t.Helper()
	r, err := b.Probes.Device.Do(t.Context(), operation, args)
	require.NoError(t, err, operation)
	return r
}

func version(t *testing.T, b *Bench) string {
	t.Helper()
	r := do(t, b, probes.ReadVersion, nil)
	require.Equal(t, probes.Done, r.Outcome, r.Detail)
	return r.Values[probes.ValueVersion]
}

// walk takes a reference device through what every bench with one must be able to do.
func walk(t *testing.T, b *Bench) {
	require.True(t, b.Healthy(t.Context()))
	require.Equal(t, "1.0.0", version(t, b))

	// Its cloud has heard of it.
	require.Eventually(t, func() bool {
		kept, err := b.Probes.Broker.Retained(t.Context())
		return err == nil && slices.ContainsFunc(kept, func(m probes.Message) bool { return strings.Contains(m.Topic, "/status") })
	}, 10*time.Second, 5*time.Millisecond)

	for _, via := range []string{"https", "coap"} {
		update(t, b, via)
		require.NoError(t, b.Restore(t.Context()))
		require.Equal(t, "1.0.0", version(t, b), "restored")
	}

	// The button is pressed for the device.
	name := "Kitchen-" + b.Mode
	require.Equal(t, probes.Done, do(t, b, "store-name", probes.Args{probes.ArgValue: name}).Outcome)
	require.Contains(t, flashText(t, b), name)
	require.Equal(t, probes.Done, do(t, b, "factory-reset-button", nil).Outcome)
	require.Eventually(t, func() bool { return b.Healthy(t.Context()) && !strings.Contains(flashText(t, b), name) }, 10*time.Second, 20*time.Millisecond)
}

func update(t *testing.T, b *Bench, via string) {
	image, err := b.Probes.Images.Newer("1.0.0")
	require.NoError(t, err)
	offer, err := b.Probes.Updates.Offer(t.Context(), via, image.Bytes)
	require.NoError(t, err)
	defer offer.Close()
	r := do(t, b, probes.UpdatePrefix+via, probes.Args{probes.ArgURL: offer.URL()})
	require.Equal(t, probes.Done, r.Outcome, r.Detail)
	require.Eventually(t, func() bool {
		r, err := b.Probes.Device.Do(t.Context(), probes.ReadVersion, nil)
		return err == nil && r.Values[probes.ValueVersion] == image.Version
	}, 15*time.Second, 50*time.Millisecond, "%s: %+v", via, offer.Fetched())
	f := offer.Fetched()
	assert.True(t, f.Complete, "%s: %+v of %d bytes", via, f, len(image.Bytes))
}

func flashText(t *testing.T, b *Bench) string {
	t.Helper()
	d, err := b.Probes.Flash.Dump(t.Context())
	require.NoError(t, err)
	defer d.Close()
	all, err := io.ReadAll(d)
	require.NoError(t, err)
	return string(all)
}

func TestReferenceBenchStaysOutOfForeignNamespaces(t *testing.T) {
	_, err := Reference(t.Context(), Options{})
	require.ErrorIs(t, err, probes.ErrBench)
	// Somebody set the marker by hand: interfaces that are up betray the host's namespace.
	t.Setenv(marker, markInside)
	_, o := product(t, defaults())
	_, err = Reference(t.Context(), o)
	require.ErrorIs(t, err, probes.ErrBench)
	if runtime.GOOS == "linux" {
		assert.ErrorContains(t, err, "this is not a namespace of our own")
	}
}

func TestReducedBench(t *testing.T) {
	noLeaks(t)
	made, err := Loopback(defaults())
	require.NoError(t, err)
	_, o := product(t, made)
	b, err := Reduced(t.Context(), o)
	require.NoError(t, err)
	defer b.Close()
	assert.Nil(t, b.Probes.Sniffer)
	assert.Equal(t, reducedLacks, instruments(b.Missing))
	assert.Nil(t, b.Probes.Scanner)
	assert.Nil(t, b.Probes.Interceptor)
	walk(t, b)
	require.NoError(t, b.Close())
	require.NoError(t, b.Close(), "a second time")
}
