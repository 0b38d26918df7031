package capture

// An Interface is one of those that a capture file describes.
type Interface struct {
	Name        string // e.g. "eth0"; often missing
	Description string
	Filter      string // what the capture was limited to, if that is told
	Link        int
	Snap        uint32 // bytes kept of each frame; 0 is no limit
	Counted     bool   // the file has counters
	Received    uint64
	Dropped     uint64 // lost, by the last counters
}

// about is what a file says of itself.
type about struct {
	format      string
	application string
	list        []Interface
	comments    []string
	secrets     int
}

// maxKnown bounds the interfaces of all sections together; those beyond share the last entry.
const maxKnown = 4096

func (a *about) interfaces(i Interface) (place int) {
	if len(a.list) == maxKnown {
		return maxKnown - 1
	}
	a.list = append(a.list, i)
	return len(a.list) - 1
}

func (a *about) comment(value []byte) {
	if len(a.comments) < maxComments {
		a.comments = append(a.comments, string(value[:min(len(value), maxComment)]))
	}
}

func (i *Interface) option(code int, value []byte) {
	text := string(value[:min(len(value), maxComment)])
	switch code {
	case optName:
		i.Name = text
	case optAbout:
		i.Description = text
	case optFilter:
		// The first byte tells a text from byte code.
		if len(text) > 1 && text[0] == 0 {
			i.Filter = text[1:]
		}
	}
}

// Interfaces lists what the file described so far.
func (r *Reader) Interfaces() []Interface { return r.about.list }

// Format names the file's format, e.g. "pcapng".
func (r *Reader) Format() string { return r.about.format }

// Application tells which program wrote the file, as it says.
func (r *Reader) Application() string { return r.about.application }

// Comments are those on the file and its counters, not on frames.
func (r *Reader) Comments() []string { return r.about.comments }

// Secrets counts the decryption secrets blocks seen so far.
func (r *Reader) Secrets() int { return r.about.secrets }

// Offset tells how many bytes of the file are read.
func (r *Reader) Offset() int64 { return r.offset }

func (r *Reader) aboutSection(options []byte) error {
	r.about.format = "pcapng"
	return r.options(options, func(code int, value []byte) error {
		switch code {
		case optComment:
			r.about.comment(value)
		case optUser:
			r.about.application = string(value[:min(len(value), maxComment)])
		}
		return nil
	})
}

// counts reads an Interface Statistics Block. Later ones replace earlier ones.
func (r *Reader) counts(body []byte) error {
	if len(body) < 12 || uint64(r.order.Uint32(body)) >= uint64(len(r.links)) {
		return nil // counters of nobody: no reason to refuse the frames
	}
	known := &r.about.list[r.links[r.order.Uint32(body)].place]
	known.Counted = true
	var byInterface, bySystem uint64
	err := r.options(body[12:], func(code int, value []byte) error {
		switch {
		case code == optComment:
			r.about.comment(value)
		case code == optIfRecv && len(value) == 8:
			known.Received = r.order.Uint64(value)
		case code == optIfDrop && len(value) == 8:
			byInterface = r.order.Uint64(value)
		case code == optOSDrop && len(value) == 8:
			bySystem = r.order.Uint64(value)
		}
		return nil
	})
	// Many programs, ours among them, write one loss into both counters.
	known.Dropped = max(byInterface, bySystem)
	return err
}
