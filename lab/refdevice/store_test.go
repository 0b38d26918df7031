package refdevice

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// newChip is an erased flash file.
func newChip(t testing.TB) *flash {
	t.Helper()
	name := filepath.Join(t.TempDir(), "flash.bin")
	writeFlash(t, name, erased(flashSize))
	f, err := openFlash(name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.close() })
	return f
}

func reopen(t testing.TB, f *flash) *store {
	t.Helper()
	s, err := openStore(f)
	require.NoError(t, err)
	return s
}

func TestStoreKeepsWhatIsSet(t *testing.T) {
	t.Parallel()
	f := newChip(t)
	s := reopen(t, f)
	for i := range 400 { // several compactions
		require.NoError(t, s.set(fmt.Sprintf("key-%d", i%7), bytes.Repeat([]byte{byte(i)}, 300)))
	}
	require.NoError(t, s.set("key-3", nil))
	again := reopen(t, f)
	require.Equal(t, s.bank, again.bank)
	require.Len(t, again.keys("key-"), 6)
	v, ok := again.get("key-6")
	require.True(t, ok)
	require.Equal(t, bytes.Repeat([]byte{398 % 256}, 300), v)
	require.Error(t, s.set("", nil))
	require.Error(t, s.set("k", make([]byte, maxValue+1)))
}

func TestStoreFull(t *testing.T) {
	t.Parallel()
	s := reopen(t, newChip(t))
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = s.set(fmt.Sprintf("key-%d", i), make([]byte, maxValue))
	}
	require.ErrorIs(t, err, errFull)
	_, ok := s.get("key-0")
	require.True(t, ok)
}

// The supply may go after every byte that is written.
func TestStoreSurvivesTornWrites(t *testing.T) {
	t.Parallel()
	f := newChip(t)
	s := reopen(t, f)
	require.NoError(t, s.set("old", []byte("kept")))
	record := encodeRecord(s.bank.generation, "new", []byte("torn"))
	at := int64(s.bank.end)
	for n := range record {
		require.NoError(t, f.write(banks[s.live], at, erased(len(record)+1)))
		require.NoError(t, f.write(banks[s.live], at, record[:n]))
		again := reopen(t, f)
		_, torn := again.get("new")
		require.False(t, torn, "%d bytes of the record", n)
		require.Equal(t, "kept", again.text("old"))
		require.NoError(t, again.set("next", []byte("works")))
		require.Equal(t, "works", reopen(t, f).text("next"))
		require.NoError(t, f.write(banks[s.live], at, erased(200)))
	}
}

// A compaction that lost its supply before its source was erased.
func TestStoreTakesTheNewerBank(t *testing.T) {
	t.Parallel()
	f := newChip(t)
	s := reopen(t, f)
	require.NoError(t, s.set("k", []byte("v1")))
	require.NoError(t, f.write(banks[1], 0, append(encodeBankHeader(2), encodeRecord(2, "k", []byte("v2"))...)))
	again := reopen(t, f)
	require.Equal(t, "v2", again.text("k"))
	b, err := f.read(banks[0])
	require.NoError(t, err)
	require.Equal(t, erased(bankSize), b, "the source is erased now")
}

func TestStoreErase(t *testing.T) {
	t.Parallel()
	f := newChip(t)
	s := reopen(t, f)
	for i := range 200 {
		require.NoError(t, s.set("k", fmt.Appendf(nil, "%s %d %0300d", canary, i, 0)))
	}
	require.NoError(t, s.erase())
	require.Empty(t, s.keys(""))
	chip, err := os.ReadFile(f.file.Name())
	require.NoError(t, err)
	require.NotContains(t, string(chip), canary)
	want := append(encodeBankHeader(1), erased(2*bankSize-bankHeader)...)
	require.Equal(t, want, chip[banks[0].offset:], "nothing but an empty log")
	require.Empty(t, reopen(t, f).keys(""))

	require.NoError(t, s.set("k", []byte(canary)))
	require.NoError(t, s.dropIndex())
	require.Empty(t, s.keys(""))
	require.Empty(t, reopen(t, f).keys(""))
	chip, err = os.ReadFile(f.file.Name())
	require.NoError(t, err)
	require.Contains(t, string(chip), canary, "the flaw leaves it")
}

func FuzzParseBank(f *testing.F) {
	full := append(encodeBankHeader(7), encodeRecord(7, "profile", []byte(`{"name":"x"}`))...)
	full = append(full, encodeRecord(7, "profile", nil)...)
	full = append(full, encodeRecord(7, "note", []byte("text"))...)
	f.Add(append(full, erased(64)...))
	f.Add(append(full, encodeRecord(6, "old", []byte("generation"))...))
	f.Add(full[:len(full)-2])
	f.Add(erased(64))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, ok := parseBank(b)
		if !ok {
			return
		}
		if k.end < bankHeader || k.end > len(b) {
			t.Fatalf("log of %d bytes ends at %d", len(b), k.end)
		}
		again, ok := parseBank(b[:k.end])
		if !ok || !again.clean || again.end != k.end || len(again.values) != len(k.values) {
			t.Fatal("the log alone is another log")
		}
		log := encodeBankHeader(k.generation)
		for key, value := range k.values {
			log = append(log, encodeRecord(k.generation, key, value)...)
		}
		rewritten, _ := parseBank(log)
		for key, value := range k.values {
			if !bytes.Equal(rewritten.values[key], value) {
				t.Fatalf("%q is lost by compaction", key)
			}
		}
	})
}

func FuzzDecodeSector(f *testing.F) {
	b, err := encodeSector(3, bootState{Pending: noSlot}, 512)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:40])
	f.Add(erased(64))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s bootState
		n, err := decodeSector(b, &s)
		if err != nil {
			return
		}
		again, err := encodeSector(n, s, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		var back bootState
		if m, err := decodeSector(again, &back); err != nil || m != n {
			t.Fatalf("%d, %v", m, err)
		}
	})
}
