package residue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"assay/probes"
	"assay/probes/credentials"
)

// maxDump bounds a dump of the storage: larger than the flash of what is tested here.
const maxDump = 1 << 30

// after searches every place for the marks, then tries the logins: they come last, since
// a wrong try leaves traces of its own.
func (h *hunt) after(ctx context.Context, f *Facts) error {
	for _, look := range []func(context.Context, *Facts) error{h.api, h.retained, h.storage, h.logins} {
		if err := look(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// api reads everything that the device lets be read.
func (h *hunt) api(ctx context.Context, f *Facts) error {
	answered, asked := 0, 0
	for _, op := range h.bench.Device.Operations() {
		if !strings.HasPrefix(op, probes.ReadPrefix) {
			continue
		}
		res, err := h.do(ctx, op, nil)
		if err != nil {
			return err
		}
		asked++
		if res.Outcome == probes.Done || res.Outcome == probes.Unexpected {
			answered++ // "there is no such thing" is an answer; "you may not look" is none
		}
		f.APIFound = f.APIFound || h.in([]byte(res.Text))
	}
	f.APISearched = asked > 0 && answered == asked
	return nil
}

func (h *hunt) retained(ctx context.Context, f *Facts) error {
	if h.bench.Broker == nil {
		return nil
	}
	list, err := h.bench.Broker.Retained(ctx)
	if err != nil {
		return fmt.Errorf("list retained messages: %w", err)
	}
	f.RetainedSearched, f.RetainedFound = true, h.inMessages(list)
	return nil
}

func (h *hunt) storage(ctx context.Context, f *Facts) error {
	if h.bench.Flash == nil {
		return nil
	}
	hits, whole, err := h.flash(ctx)
	if err != nil {
		return err
	}
	var encodings []string
	for _, hit := range hits {
		if hit.Name == accountMark {
			f.AccountInFlash = true
			continue
		}
		encodings = append(encodings, string(hit.Encoding))
	}
	slices.Sort(encodings)
	f.FlashSearched, f.FlashFound = whole, len(encodings) > 0
	f.FlashEncodings = strings.Join(slices.Compact(encodings), ",")
	return nil
}

// logins tries the planted account, then its two controls: an account that never was, since
// a device that lets anybody in says nothing about the planted one, and the login of the label.
func (h *hunt) logins(ctx context.Context, f *Facts) error {
	login := probes.LoginPrefix + h.iface
	if !h.can(login) {
		return nil
	}
	if f.AccountBefore {
		res, err := h.do(ctx, login, h.account)
		if err != nil {
			return err
		}
		f.AccountAnswer, f.AccountAfter = res.Outcome, res.Outcome == probes.Done
		stranger := probes.Args{probes.ArgUsername: credentials.Random(markLength), probes.ArgPassword: credentials.Random(markLength)}
		if res, err = h.do(ctx, login, stranger); err != nil {
			return err
		}
		f.StrangerAfter = res.Outcome == probes.Done
	}
	own, ok := h.bench.Device.Unit().Logins[h.iface]
	if !ok {
		return nil
	}
	res, err := h.do(ctx, login, probes.Args{probes.ArgUsername: own.Username, probes.ArgPassword: own.Password})
	f.LabelLogin = res.Outcome == probes.Done
	return err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
