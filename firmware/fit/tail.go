package fit

import (
	"bytes"
	"cmp"
	"slices"

	"assay/firmware/format"
)

// checkTail judges what lies behind the tree: the external data, and between and behind
// it filling. Nothing covers filling, so only zeros and erased flash are let through.
func (img *Image) checkTail() error {
	for _, gap := range img.gaps() {
		if err := checkFilling(img.src, gap.Offset, gap.Size); err != nil {
			return err
		}
	}
	return nil
}

// gaps are the bytes behind the tree that belong to no image.
func (img *Image) gaps() []format.Region {
	type span struct{ at, end int64 }
	spans := []span{{img.src.Size(), img.src.Size()}}
	for _, p := range img.parts {
		if p.external {
			spans = append(spans, span{p.at, p.at + p.size})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.at, b.at) })
	var gaps []format.Region
	end := img.tree.Header.TotalSize
	for _, s := range spans {
		if s.at > end {
			gaps = append(gaps, format.Region{Name: "filling", Offset: end, Size: s.at - end})
		}
		end = max(end, s.end)
	}
	return gaps
}

// checkFilling wants zeros, and behind them erased flash.
func checkFilling(src format.Source, at, size int64) error {
	const step = 64 << 10
	erased := false
	for n := int64(0); size > 0; at, size = at+n, size-n {
		n = min(size, step)
		b, err := src.Bytes(at, n)
		if err != nil {
			return err
		}
		if !erased {
			b = bytes.TrimLeft(b, "\x00")
		}
		erased = erased || len(b) > 0
		if len(bytes.TrimLeft(b, "\xff")) > 0 {
			return format.Wrap(format.ErrTrailing, "bytes from 0x%x on belong to no image and are no filling", at)
		}
	}
	return nil
}
