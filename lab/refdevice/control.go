package refdevice

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// maxControlLine bounds one line from the bench.
const maxControlLine = 256

// A control is one line that stands for a hand at the device or its plug.
type control struct {
	verb  string // start, button, power
	what  string // button: its name; power: on or off
	holds time.Duration
}

// parseControl reads "start", "power on", "power off" or "button NAME SECONDS".
func parseControl(line string) (control, error) {
	if len(line) > maxControlLine {
		return control{}, fmt.Errorf("control line of %d bytes is too long", len(line))
	}
	words := strings.Fields(line)
	switch {
	case len(words) == 1 && words[0] == "start":
		return control{verb: "start"}, nil
	case len(words) == 2 && words[0] == "power" && (words[1] == "on" || words[1] == "off"):
		return control{verb: "power", what: words[1]}, nil
	case len(words) == 3 && words[0] == "button":
		s, err := strconv.ParseFloat(words[2], 64)
		if err != nil || !(s >= 0 && s <= 3600) {
			return control{}, fmt.Errorf("control line: %.20q is no time to hold a button", words[2])
		}
		return control{verb: "button", what: words[1], holds: time.Duration(s * float64(time.Second))}, nil
	default:
		return control{}, fmt.Errorf("control line %.40q is none of: start, power on, power off, button NAME SECONDS", line)
	}
}

// String is the line without the button's time.
func (c control) String() string { return strings.TrimSpace(c.verb + " " + c.what) }

// readControls sends what the bench writes until it closes the pipe; then the channel is closed.
func readControls(ctx context.Context, in io.Reader, log *slog.Logger) <-chan control {
	out := make(chan control)
	go func() {
		defer close(out)
		lines := bufio.NewScanner(in)
		lines.Buffer(make([]byte, 0, maxControlLine), 2*maxControlLine)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "" {
				continue
			}
			c, err := parseControl(lines.Text())
			if err != nil {
				log.Warn("ignored", "error", err)
				continue
			}
			select {
			case out <- c:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
