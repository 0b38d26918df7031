package packed

// unLZO unpacks one LZO1X block by the description of the stream in the Linux kernel's
// documentation (staging/lzo.rst). Version 1 of the bitstream (run-length of zeros) is not
// written by any file system and is refused as corrupt.
func unLZO(b []byte, limit int) ([]byte, error) {
	d := lzoReader{in: b, out: make([]byte, 0, limit), limit: limit}
	if len(b) > 0 && b[0] > 17 {
		n := int(b[0]) - 17
		d.at = 1
		if !d.literals(n) {
			return nil, d.fail()
		}
		if d.state = 4; n < 4 {
			d.state = n
		}
	}
	for {
		done, ok := d.step()
		if !ok {
			return nil, d.fail()
		}
		if done {
			return d.out, nil
		}
	}
}

type lzoReader struct {
	in    []byte
	at    int
	out   []byte
	limit int
	state int // literals copied by the last instruction, 4 for a long run
	large bool
}

func (d *lzoReader) fail() error {
	if d.large {
		return ErrTooLarge
	}
	return ErrCorrupt
}

func (d *lzoReader) byte() (int, bool) {
	if d.at >= len(d.in) {
		return 0, false
	}
	d.at++
	return int(d.in[d.at-1]), true
}

// run is a length that zeros extend by 255 each.
func (d *lzoReader) run(base int) (int, bool) {
	for n := base; ; n += 255 {
		b, ok := d.byte()
		if !ok || n > d.limit {
			return 0, false
		}
		if b != 0 {
			return n + b, true
		}
	}
}

func (d *lzoReader) literals(n int) bool {
	if n > len(d.in)-d.at {
		return false
	}
	if len(d.out)+n > d.limit {
		d.large = true
		return false
	}
	d.out = append(d.out, d.in[d.at:d.at+n]...)
	d.at += n
	return true
}

func (d *lzoReader) copy(distance, n int) bool {
	from := len(d.out) - distance
	if from < 0 || distance <= 0 {
		return false
	}
	if len(d.out)+n > d.limit {
		d.large = true
		return false
	}
	for i := range n {
		d.out = append(d.out, d.out[from+i])
	}
	return true
}

// step runs one instruction.
func (d *lzoReader) step() (done, ok bool) {
	op, ok := d.byte()
	if !ok {
		return false, false
	}
	var distance, length, tail int
	switch {
	case op < 16 && d.state == 0:
		length = op + 3
		if op == 0 {
			if length, ok = d.run(18); !ok {
				return false, false
			}
		}
		d.state = 4
		return false, d.literals(length)
	case op < 16:
		h, ok := d.byte()
		if !ok {
			return false, false
		}
		distance, length, tail = h<<2+op>>2+1, 2, op&3
		if d.state == 4 {
			distance, length = distance+2048, 3
		}
	case op >= 64:
		h, ok := d.byte()
		if !ok {
			return false, false
		}
		distance, length, tail = h<<3+op>>2&7+1, op>>5+1, op&3
	default:
		if distance, length, tail, ok = d.far(op); !ok {
			return false, false
		}
		if distance == 0x4000 && op < 32 {
			return length == 3 && d.at == len(d.in), length == 3 && d.at == len(d.in)
		}
	}
	if !d.copy(distance, length) {
		return false, false
	}
	d.state = tail
	return false, d.literals(tail)
}

// far reads the two instructions with a 14-bit distance.
func (d *lzoReader) far(op int) (distance, length, tail int, ok bool) {
	mask, base := 31, 33
	if op < 32 {
		mask, base = 7, 9
	}
	if length = op&mask + 2; op&mask == 0 {
		if length, ok = d.run(base); !ok {
			return 0, 0, 0, false
		}
	}
	if d.at+2 > len(d.in) {
		return 0, 0, 0, false
	}
	le := int(d.in[d.at]) | int(d.in[d.at+1])<<8
	d.at += 2
	if op < 32 {
		return 0x4000 + (op&8)<<11 + le>>2, length, le & 3, true
	}
	return le>>2 + 1, length, le & 3, true
}
