package refdevice

import (
	"bytes"
	"fmt"
	"io"
)

// payloadSize is that of every firmware, scripts and filler together.
const payloadSize = 24 << 10

// payload makes the contents of a firmware image: a schedule in plain text, as thermostats
// have one, a gap of erased flash, and tables that look like code to whoever searches for strings.
func payload(version string, random io.Reader) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s firmware %s\n", Manufacturer, Model, version)
	for hour := range 24 {
		fmt.Fprintf(&b, "at %02d:00 heat to %.1f\n", hour, 17+float64(4*(hour/6%2))+float64(hour%6)/10)
	}
	b.Write(erased(1024 - b.Len()%1024))
	filler := make([]byte, payloadSize-b.Len())
	if _, err := io.ReadFull(random, filler); err != nil {
		return nil, err
	}
	b.Write(filler)
	return b.Bytes(), nil
}
