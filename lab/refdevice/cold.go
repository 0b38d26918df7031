package refdevice

import "errors"

var errTornSettings = errors.New("the settings were left open by a cut of the supply")

// cold is the first start of the firmware since the supply came. A sound device does nothing then.
func (l *life) cold() error {
	l.ram.mu.Lock()
	warm := l.ram.warm
	l.ram.warm = true
	l.ram.mu.Unlock()
	if warm {
		return nil
	}
	if l.flaws.has(ForgetsWithoutPower) {
		// It kept the settings where they do not outlive the supply.
		for _, key := range []string{keyProfile, keyLocation, keyNote} {
			if err := l.store.set(key, nil); err != nil {
				return err
			}
		}
	}
	if l.flaws.has(StaysDarkAfterCut) {
		if l.boot.current().Ran {
			return errTornSettings
		}
		return l.boot.change(func(s *bootState) { s.Ran = true })
	}
	return nil
}
