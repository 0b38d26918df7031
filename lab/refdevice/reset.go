package refdevice

import (
	"context"
	"encoding/base64"
	"fmt"
)

// reset brings the device back to the state of its label. The device's own services
// have stopped: nobody can store anything any more. The order matters where the
// supply is lost: from the first line on, the next start finishes what this one began.
func (l *life) reset(ctx context.Context, by string) error {
	if by == byButton && l.flaws.has(ButtonKeepsData) {
		return nil
	}
	l.log.Info("factory reset", "by", by)
	forget := !l.flaws.has(WipeLeavesRetained)
	if err := l.boot.change(func(s *bootState) { s.Wiping, s.Forget = true, forget }); err != nil {
		return err
	}
	if forget {
		if err := l.cloud.forget(ctx); err != nil {
			l.log.Warn("the cloud will be told at the next connection", "error", err)
		}
	}
	return l.wipe()
}

// wipe overwrites the user's data. The label's logins are in the factory record and stay.
func (l *life) wipe() error {
	owner := l.store.profile()
	accounts := map[string][]byte{}
	if l.flaws.has(WipeKeepsAccounts) {
		for _, key := range l.store.keys(keyAccount) {
			accounts[key], _ = l.store.get(key)
		}
	}
	l.ram.mu.Lock()
	if l.flaws.has(WipeLeavesAPI) {
		l.ram.profile = &owner
	}
	if l.flaws.has(WipeLeaksLater) {
		l.ram.name = owner.Name
	}
	l.ram.mu.Unlock()
	if err := l.wipeFlash(); err != nil {
		return fmt.Errorf("factory reset: %w", err)
	}
	for key, value := range accounts {
		if err := l.store.set(key, value); err != nil {
			return fmt.Errorf("factory reset: %w", err)
		}
	}
	return l.boot.change(func(s *bootState) { s.Wiping = false })
}

func (l *life) wipeFlash() error {
	if err := l.flash.erase(serviceRegion); err != nil {
		return err
	}
	if l.flaws.has(WipeLeavesBackup) {
		raw, _ := l.store.get(keyProfile)
		if err := l.flash.write(serviceRegion, 0, []byte(base64.StdEncoding.EncodeToString(raw))); err != nil {
			return err
		}
	}
	if l.flaws.has(WipeLeavesFlash) {
		return l.store.dropIndex()
	}
	return l.store.erase()
}
