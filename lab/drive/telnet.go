package drive

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// Commands and options of Telnet: RFC 854, 857, 858.
const (
	telnetSE   = 240
	telnetSB   = 250
	telnetWill = 251
	telnetWont = 252
	telnetDo   = 253
	telnetDont = 254
	telnetIAC  = 255

	optionEcho    = 1
	optionGoAhead = 3 // suppress it
)

// Bounds on what a device may say beside text.
const (
	maxTelnetCommands = 1024
	maxSubnegotiation = 4 << 10
)

var errTelnet = errors.New("not Telnet")

// telnet leads a dialogue over Telnet.
func (r *run) telnet(ctx context.Context, s step, x *scope) (answer, error) {
	u, err := x.url(s.Telnet.URL, "telnet")
	if err != nil {
		return answer{}, err
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), "23")
	}
	script, err := x.script(s, "\r\n")
	if err != nil {
		return answer{}, err
	}
	conn, err := dial(ctx, "tcp", u.Host)
	if err != nil {
		return noReply(err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	terminal := &telnetConn{Conn: conn}
	d := &dialogue{step: s, script: script, ear: hear(terminal), voice: terminal}
	at, err := d.lead(ctx)
	conn.Close()
	<-d.ear.ended
	if ctx.Err() != nil && err != nil {
		err = ctx.Err() // our own deadline looks like a closed connection
	}
	return d.answer(at, err), nil
}

// A telnetConn takes the commands out of what comes and answers them.
type telnetConn struct {
	net.Conn
	strip stripper
	write sync.Mutex
}

// Read returns text. It returns none where there were commands only.
func (c *telnetConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	text, reply, wrong := c.strip.strip(p[:n])
	if len(reply) > 0 {
		c.write.Lock()
		_, failed := c.Conn.Write(reply)
		c.write.Unlock()
		if err == nil {
			err = failed
		}
	}
	if wrong != nil {
		err = wrong
	}
	return len(text), err
}

// Write sends text, in which the byte 255 is doubled.
func (c *telnetConn) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p))
	for _, b := range p {
		if out = append(out, b); b == telnetIAC {
			out = append(out, b)
		}
	}
	c.write.Lock()
	defer c.write.Unlock()
	if _, err := c.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// A stripper takes Telnet's commands out of a stream. It agrees that the device echoes and that
// neither side sends go-aheads, which is what every login does, and refuses all else, each once:
// a device that asks for ever gets no answer for ever.
type stripper struct {
	state    byte // 0, or the byte within a command: IAC, WILL ... DONT, SB; SE stands for an IAC within a subnegotiation
	cr       bool // the last byte of text was CR
	commands int
	inside   int // bytes of this subnegotiation
	answered [2][256]byte
}

// strip works in place: text shares the memory of p. An error says what no Telnet server sends.
func (s *stripper) strip(p []byte) (text, reply []byte, err error) {
	text = p[:0]
	for _, b := range p {
		switch s.state {
		case 0:
			switch {
			case b == telnetIAC:
				s.state = telnetIAC
			case b == 0 && s.cr: // RFC 854: CR NUL is a bare CR
				s.cr = false
			default:
				text, s.cr = append(text, b), b == '\r'
			}
		case telnetIAC:
			s.state = 0
			switch {
			case b == telnetIAC:
				text, s.cr = append(text, b), false
			case b >= telnetSB:
				s.state, s.inside = b, 0
				fallthrough
			default:
				if s.commands++; s.commands > maxTelnetCommands {
					return text, reply, fmt.Errorf("%w: more than %d commands", errTelnet, maxTelnetCommands)
				}
			}
		case telnetWill, telnetWont, telnetDo, telnetDont:
			reply = append(reply, s.answer(s.state, b)...)
			s.state = 0
		case telnetSB:
			if b == telnetIAC {
				s.state = telnetSE
			} else if s.inside++; s.inside > maxSubnegotiation {
				return text, reply, fmt.Errorf("%w: a subnegotiation of more than %d bytes", errTelnet, maxSubnegotiation)
			}
		case telnetSE:
			s.state = telnetSB
			if b == telnetSE {
				s.state = 0
			}
		}
	}
	return text, reply, nil
}

// answer is the reply to one WILL, WONT, DO or DONT; none where the same was said before, or where
// nothing changes (RFC 854: do not answer what you are in already).
func (s *stripper) answer(command, option byte) []byte {
	side, say := 0, byte(telnetDont)
	switch command {
	case telnetWill:
		if option == optionEcho || option == optionGoAhead {
			say = telnetDo
		}
	case telnetDo, telnetDont:
		side, say = 1, telnetWont
		if command == telnetDo && option == optionGoAhead {
			say = telnetWill
		}
	}
	before := s.answered[side][option]
	offers := command == telnetWill || command == telnetDo
	if before == say || before == 0 && !offers {
		return nil
	}
	s.answered[side][option] = say
	if before == telnetDont && say == telnetDo || before == telnetWont && say == telnetWill {
		return nil // it changes its mind back and forth: the last word stands
	}
	return []byte{telnetIAC, say, option}
}
