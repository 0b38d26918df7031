package capture

import "time"

// Losses say in which seconds of a capture the kernel lost frames. A second that is in no entry lost none.
type Losses struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Total uint64    `json:"total"`
	Lost  []Loss    `json:"lost,omitempty"` // the earliest first
}

// A Loss is frames that were lost somewhere within a second, or within a few where a reader that stalled, or a
// list that grew too long, leaves no more to know.
type Loss struct {
	Second  time.Time `json:"second"`            // the beginning of the first one, UTC
	Seconds int       `json:"seconds,omitempty"` // how many from there on; 0 is one
	Frames  uint64    `json:"frames"`
}

// maxLosses bounds the entries of one capture. Where there would be more, neighbours are put together.
const maxLosses = 4096

// Within lists the losses that may have happened between two moments.
func (l Losses) Within(from, to time.Time) []Loss {
	var out []Loss
	for _, one := range l.Lost {
		if end := one.Second.Add(time.Duration(max(one.Seconds, 1)) * time.Second); one.Second.Before(to) && end.After(from) {
			out = append(out, one)
		}
	}
	return out
}

// Losses tells what was lost so far, second by second.
func (c *Capture) Losses() Losses {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Losses{From: c.began, To: c.looked, Total: c.lost + c.unwritten, Lost: append([]Loss(nil), c.losses...)}
}

// lose takes the kernel's count of lost frames. What is new was lost since the look before. The mutex is held.
func (c *Capture) lose(lost uint64) {
	now := c.clock.Now().UTC()
	if lost > c.lost {
		c.losses = addLoss(c.losses, c.looked, now, lost-c.lost)
		c.lost = lost
	}
	c.looked = now
}

// addLoss adds frames that were lost between two moments.
func addLoss(list []Loss, from, to time.Time, frames uint64) []Loss {
	one := Loss{Second: from.Truncate(time.Second), Frames: frames}
	if last := to.Truncate(time.Second); last.After(one.Second) {
		one.Seconds = int(last.Sub(one.Second)/time.Second) + 1
	}
	if n := len(list); n > 0 && list[n-1].Second.Equal(one.Second) && list[n-1].Seconds == one.Seconds {
		list[n-1].Frames += frames
		return list
	}
	if len(list) >= maxLosses {
		list = coarser(list)
	}
	return append(list, one)
}

// coarser puts every two neighbours together.
func coarser(list []Loss) []Loss {
	out := list[:0]
	for i := 0; i < len(list); i += 2 {
		one := list[i]
		if i+1 < len(list) {
			next := list[i+1]
			end := next.Second.Add(time.Duration(max(next.Seconds, 1)) * time.Second)
			one.Frames += next.Frames
			if one.Seconds = max(one.Seconds, int(end.Sub(one.Second)/time.Second)); one.Seconds == 1 {
				one.Seconds = 0
			}
		}
		out = append(out, one)
	}
	return out
}
