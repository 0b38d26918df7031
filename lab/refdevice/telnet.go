package refdevice

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

const (
	telnetPatience = 30 * time.Second
	telnetTries    = 3
	// WILL ECHO, WILL SUPPRESS-GO-AHEAD (RFC 857, RFC 858).
	telnetOptions = "\xff\xfb\x01\xff\xfb\x03"
)

// startTelnet opens the console of the maker's developers, which only a flawed device still has. No
// account is left on it; that it answers at all, and is in no declaration, is the flaw.
func (l *life) startTelnet(ctx context.Context) (func(time.Duration), error) {
	var open []*listener
	var talks sync.WaitGroup
	stop := func(time.Duration) {
		for _, in := range open {
			in.cut()
		}
		talks.Wait()
	}
	for flaw, listen := range map[FlawName]func(context.Context, int) (*listener, error){HiddenTelnet: l.listen, HiddenTelnetIPv6: l.listen6} {
		if !l.flaws.has(flaw) {
			continue
		}
		in, err := listen(ctx, l.config.Ports.Telnet)
		if err != nil {
			stop(0)
			return nil, fmt.Errorf("open telnet: %w", err)
		}
		open = append(open, in)
		talks.Go(func() {
			for {
				conn, err := in.Accept()
				if err != nil {
					return
				}
				talks.Go(func() { telnet(conn, l.config.Now().Add(telnetPatience)) })
			}
		})
	}
	return stop, nil
}

// telnet asks for a login and takes none.
func telnet(conn net.Conn, until time.Time) {
	defer conn.Close()
	_ = conn.SetDeadline(until)
	typed := bufio.NewReaderSize(conn, 256) // a longer line ends the session
	ask := func(prompt string) bool {
		_, err := fmt.Fprint(conn, prompt)
		if err == nil {
			_, err = typed.ReadSlice('\n')
		}
		return err == nil
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n%s %s\r\n", telnetOptions, Manufacturer, Model); err != nil {
		return
	}
	for range telnetTries {
		if !ask("login: ") || !ask("Password: ") {
			return
		}
		if _, err := fmt.Fprint(conn, "\r\nLogin incorrect\r\n"); err != nil {
			return
		}
	}
}
