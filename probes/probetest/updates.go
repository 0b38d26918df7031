package probetest

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"assay/firmware"
	"assay/probes"
)

// installed is the version that the thermostat leaves the factory with.
const installed = "1.0.0"

// updates is the maker's images, the update server, and the part of the device that updates.
type updates struct {
	images  []probes.Image // in order of version
	trust   firmware.Trust
	version string
	sick    bool
	jammed  bool
	busy    time.Time // until then it says no
	staged  string    // the version that the next start takes; empty: the one that runs
	offers  map[string]*offer
}

func (u *updates) manufacture(s Script) error {
	key, err := s.Imaging.key()
	if err != nil {
		return fmt.Errorf("make the maker's key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("write the maker's key: %w", err)
	}
	maker := firmware.Anchor{From: "maker.pem", Bytes: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
	if u.trust, err = firmware.ParseTrust(maker); err != nil {
		return fmt.Errorf("read the maker's key: %w", err)
	}
	for i, name := range s.Versions {
		image, err := s.Imaging.image(i, name, key)
		if err != nil {
			return fmt.Errorf("make image %s: %w", name, err)
		}
		u.images = append(u.images, image)
	}
	u.version, u.offers = installed, map[string]*offer{}
	return nil
}

// place returns where a version stands among the maker's, -1 if nowhere.
func (u *updates) place(version string) int {
	return slices.IndexFunc(u.images, func(i probes.Image) bool { return i.Version == version })
}

type images struct{ t *Thermostat }

func (i images) All(ctx context.Context) ([]probes.Image, error) {
	if err := i.t.use(ctx); err != nil {
		return nil, err
	}
	return i.t.updates.images, nil
}

func (i images) Installed() string { return i.t.script.Declared }

func (i images) Trust() firmware.Trust { return i.t.updates.trust }

func (i images) Newer(version string) (probes.Image, error) { return i.at(version, +1) }
func (i images) Older(version string) (probes.Image, error) { return i.at(version, -1) }

func (i images) at(version string, step int) (probes.Image, error) {
	i.t.mu.Lock()
	defer i.t.mu.Unlock()
	u := &i.t.updates
	at := slices.IndexFunc(u.images, func(o probes.Image) bool {
		order, err := firmware.Compare(firmware.Facts{Format: "mcuboot", Version: o.Version}, firmware.Facts{Format: "mcuboot", Version: version})
		return err == nil && order == 0
	})
	if n := at + step; at >= 0 && n >= 0 && n < len(u.images) {
		return u.images[n], nil
	}
	return probes.Image{}, probes.ErrNoImage
}

type updateServer struct{ t *Thermostat }

func (s updateServer) Offer(ctx context.Context, via string, image []byte) (probes.Offer, error) {
	if err := s.t.use(ctx); err != nil {
		return nil, err
	}
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	o := &offer{t: s.t, url: fmt.Sprintf("%s://bench/%d", via, s.t.calls), image: image}
	s.t.updates.offers[o.url] = o
	return o, nil
}

type offer struct {
	t       *Thermostat
	url     string
	image   []byte
	fetched probes.Fetched
}

func (o *offer) URL() string { return o.url }

func (o *offer) Fetched() probes.Fetched {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	return o.fetched
}

func (o *offer) Close() error {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	delete(o.t.updates.offers, o.url)
	return nil
}

// told is the device hearing of an update.
func (u *updates) told(t *Thermostat, url string) (probes.Result, error) {
	if t.clock.Now().Before(u.busy) {
		return probes.Result{Outcome: probes.Refused}, nil
	}
	if !t.script.NeverFetches && !u.jammed {
		t.after(t.script.Dawdles, func() { u.fetch(t, url) })
	}
	return probes.Result{Outcome: probes.Done}, nil
}

func (u *updates) fetch(t *Thermostat, url string) {
	o, ok := u.offers[url]
	if !ok {
		return
	}
	if t.script.Lazy > 0 && o.fetched.Requests == 0 {
		o.fetched = probes.Fetched{Requests: 1, Bytes: 64}
		t.after(t.script.Lazy, func() { u.fetch(t, url) })
		return
	}
	o.fetched = probes.Fetched{Requests: o.fetched.Requests + 1, Bytes: int64(len(o.image)), Complete: true}
	version, bad := u.judge(o.image)
	if bad == "older" && t.script.HeadOnly {
		o.fetched = probes.Fetched{Requests: 1, Bytes: 64}
	}
	t.after(t.script.Slow, func() {
		u.busy = t.clock.Now().Add(t.script.Busy)
		switch {
		case !t.script.RefusesGenuine && (bad == "" || slices.Contains(t.script.Takes, bad)):
			u.version, u.staged = version, ""
			t.restart(400 * time.Millisecond)
		case bad != "":
			u.jammed = t.script.Jams
			if t.script.Lingers {
				u.staged = version
			}
			u.sick = t.script.Crashes
			t.bricked = t.script.Bricks
			if t.script.Dizzy > 0 {
				u.sick = true
				t.after(t.script.Dizzy, func() { u.sick = false })
			}
		}
	})
}

// started is the device having started again for another reason than an update.
func (u *updates) started() {
	u.jammed = false
	if u.staged != "" {
		u.version, u.staged = u.staged, ""
	}
}

// judge tells an image's version and, unless a good device takes it, what is bad about it.
func (u *updates) judge(image []byte) (version, bad string) {
	i, err := firmware.OpenUnverified(firmware.FromBytes(image))
	if err != nil {
		return "", "malformed"
	}
	version = i.Describe().Version
	_, err = i.Verify(u.trust)
	switch {
	case errors.Is(err, firmware.ErrUnsigned):
		return version, firmware.Unsigned
	case errors.Is(err, firmware.ErrNoTrustedKey):
		return version, firmware.WrongKey
	case errors.Is(err, firmware.ErrBadHash):
		return version, firmware.TamperedPlain
	case err != nil:
		return version, firmware.Tampered
	case u.place(version) < u.place(u.version):
		return version, "older"
	case u.place(version) == u.place(u.version):
		return version, "same"
	}
	return version, ""
}
