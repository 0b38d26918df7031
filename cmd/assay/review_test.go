package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"assay/profiles"
	"assay/profiles/review"
)

// someUnits are three of two standards, the second one spared.
func someUnits() []review.Unit {
	unit := func(standard, requirement, kase string) review.Unit {
		r := profiles.Required{Requirement: profiles.Requirement{ID: requirement}, Standard: &profiles.Standard{ID: standard}}
		u := profiles.Unit{ID: "a"}
		return review.Unit{Wanted: profiles.Wanted{Address: profiles.UnitAddress(standard, kase, "a"), Requirement: r, Case: profiles.Case{ID: kase}, Unit: u}}
	}
	all := []review.Unit{unit("s", "1", "1-c"), unit("s", "2", "2-c"), unit("t", "1", "1-c")}
	all[1].Spared = "the dossier denies updatable"
	return all
}

func TestReviewAgain(t *testing.T) {
	for _, c := range []struct {
		again []string
		want  []int
		err   string
	}{
		{nil, []int{0, 2}, ""},
		{[]string{"t/1-c.a", "t/1-c.a", "s/1-c.a"}, []int{2, 0}, ""},
		{[]string{"s/9.a"}, nil, `--again: no unit "s/9.a" wants a person's answer here`},
		{[]string{"1-c.a"}, nil, `--again: "1-c.a" stands in several standards`},
		{[]string{"2-c.a"}, nil, "--again: 2-c.a is not asked: the dossier denies updatable"},
	} {
		got, err := reviewFlags{again: c.again}.asked(someUnits())
		assert.Equal(t, c.want, got)
		if c.err != "" {
			require.EqualError(t, err, c.err)
			assert.Equal(t, exitUnusable, complain(io.Discard, err))
		}
	}
}

func TestReviewOnly(t *testing.T) {
	got, err := reviewFlags{only: []string{"s/1", "2"}}.chosen(someUnits())
	require.NoError(t, err)
	require.Len(t, got, 2)
	assert.Equal(t, "s/2-c.a", got[1].Address)
	_, err = reviewFlags{only: []string{"3"}}.chosen(someUnits())
	require.EqualError(t, err, `--only: no requirement "3" with a unit that wants a person's answer`)
}

func TestReviewWaysOut(t *testing.T) {
	f := reviewFlags{out: "r.yaml"}
	for _, c := range []struct {
		reason error
		code   int
		hint   string
	}{
		{review.ErrFile, exitUnusable, "choose another file with --out"},
		{review.ErrOther, exitUnusable, "mend it, or choose another file with --out: it is not overwritten"},
		{review.ErrSize, exitUnusable, "a profile with fewer units, or --only, makes a smaller file"},
		{review.ErrFolder, exitUnusable, "choose a writable folder with --out"},
		{review.ErrDisk, exitBench, "is the disk full?"},
		{context.Canceled, exitIncomplete, "what was answered is in r.yaml; the same command goes on"},
	} {
		var said *complaint
		require.ErrorAs(t, f.wayOut(fmt.Errorf("keep: %w", c.reason)), &said)
		assert.Equal(t, c.code, said.code)
		assert.Equal(t, c.hint, said.hint)
	}
	other := errors.New("else")
	assert.Equal(t, other, f.wayOut(other))
}
