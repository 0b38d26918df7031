package traffic

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"assay/lab/capture/analyze"
)

// A lane is one conversation: a client, a server's port, a protocol. Its spans are when flows lived.
type lane struct {
	label     string
	protocol  string
	encrypted bool
	packets   uint64
	colour    string
	spans     []stretch
}

type stretch struct{ from, to time.Time }

type drawing struct {
	first, last time.Time
	lanes       []*lane
	of          int
}

const (
	maxLanes  = 60
	maxSpans  = 400
	laneLeft  = 330.0
	laneWidth = 720.0
	laneRow   = 18.0
)

// The palettes tell neighbours apart in light and in dark: cool for what is encrypted, warm for what is not.
var (
	cool = []string{"#0969da", "#2da44e", "#1b7c83", "#8250df"}
	warm = []string{"#bf8700", "#cf222e", "#bc4c00", "#bf3989", "#9a6700", "#a475f9"}
)

// grey is for what nobody recognised, and for what is beyond a palette.
const grey = "#6e7781"

// draw gathers the lanes, the busiest ones, in the order in which they began.
func draw(a *analyze.Analysis) *drawing {
	d := &drawing{first: a.Capture.First, last: a.Capture.Last}
	known := map[string]*lane{}
	var all []*lane
	for _, f := range a.Flows {
		if f.State == "refused" || f.First.IsZero() {
			continue
		}
		label := host(f.Client) + " > " + f.Server
		key := label + " " + f.Protocol
		l := known[key]
		if l == nil {
			l = &lane{label: label, protocol: f.Protocol, encrypted: f.Encrypted}
			known[key] = l
			all = append(all, l)
		}
		l.packets += f.ClientPackets + f.ServerPackets
		l.spans = append(l.spans, stretch{f.First, f.Last})
	}
	d.of = len(all)
	slices.SortStableFunc(all, func(x, y *lane) int { return cmp.Compare(y.packets, x.packets) })
	d.lanes = all[:min(len(all), maxLanes)]
	slices.SortStableFunc(d.lanes, func(x, y *lane) int { return x.spans[0].from.Compare(y.spans[0].from) })
	for _, l := range d.lanes {
		l.merge(d.last.Sub(d.first) / maxSpans)
	}
	return d
}

// merge joins what would be drawn in one place anyway.
func (l *lane) merge(near time.Duration) {
	slices.SortFunc(l.spans, func(x, y stretch) int { return x.from.Compare(y.from) })
	out := l.spans[:0:0]
	for _, s := range l.spans {
		if n := len(out); n > 0 && s.from.Sub(out[n-1].to) <= near {
			if s.to.After(out[n-1].to) {
				out[n-1].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	l.spans = out
}

type legend struct {
	Name   string
	Colour template.CSS
}

// legends lists the protocols drawn, with their colours, and gives each lane its own.
func (d *drawing) legends() (out []legend) {
	known := map[string]string{}
	used := map[bool]int{}
	for _, l := range d.lanes {
		colour, ok := known[l.protocol]
		if !ok {
			colour = grey
			palette := warm
			if l.encrypted {
				palette = cool
			}
			if n := used[l.encrypted]; !l.silent() && n < len(palette) {
				colour = palette[n]
				used[l.encrypted]++
			}
			known[l.protocol] = colour
			out = append(out, legend{l.protocol, template.CSS(colour)})
		}
		l.colour = colour
	}
	return out
}

// silent tells that no data was recognised as a protocol.
func (l *lane) silent() bool { return l.protocol == "TCP" || l.protocol == "UDP" }

// picture draws the lanes. Every text in it is escaped; the numbers are ours.
func (d *drawing) picture() template.HTML {
	length := max(d.last.Sub(d.first), time.Millisecond)
	scale := laneWidth / length.Seconds()
	height := laneRow*float64(len(d.lanes)) + 24
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="When each conversation lived, by protocol"><defs><pattern id="clear" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><line class="stripe" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>`,
		laneLeft+laneWidth+10, height)
	for i := range 7 {
		at := length.Seconds() * float64(i) / 6
		x := laneLeft + at*scale
		fmt.Fprintf(&b, `<line class="axis" x1="%.1f" y1="0" x2="%.1f" y2="%g"/><text class="dim" text-anchor="%s" x="%.1f" y="%g">%.*f s</text>`,
			x, x, height-16, [...]string{"middle", "end"}[i/6], x, height-4, decimals(length), at)
	}
	for i, l := range d.lanes {
		y := laneRow * float64(i)
		way := "in clear"
		if l.encrypted {
			way = "encrypted"
		}
		fmt.Fprintf(&b, `<g><title>%s, %s, %s, %d packets</title><text x="0" y="%g">%s</text>`, template.HTMLEscapeString(l.label),
			template.HTMLEscapeString(l.protocol), way, l.packets, y+12, template.HTMLEscapeString(shorten(l.label, 48)))
		for _, s := range l.spans {
			x, w := laneLeft+s.from.Sub(d.first).Seconds()*scale, max(2, s.to.Sub(s.from).Seconds()*scale)
			fmt.Fprintf(&b, `<rect fill="%s" x="%.1f" y="%g" width="%.1f" height="12" rx="2"/>`, l.colour, x, y+2, w)
			if !l.encrypted && !l.silent() {
				fmt.Fprintf(&b, `<rect fill="url(#clear)" x="%.1f" y="%g" width="%.1f" height="12" rx="2"/>`, x, y+2, w)
			}
		}
		b.WriteString(`</g>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func decimals(length time.Duration) int {
	switch {
	case length > time.Minute:
		return 0
	case length > time.Second:
		return 1
	}
	return 3
}
