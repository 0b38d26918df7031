package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"assay/lab/refdevice"
	"assay/probes"
)

const loopback = "127.0.0.1"

// Loopback fills in what a product needs to live on the reduced bench: loopback addresses and ports
// that are free now. They stand in its dossier, so they must be known when it is made.
func Loopback(o refdevice.ManufactureOptions) (refdevice.ManufactureOptions, error) {
	ports, err := freePorts(5)
	if err != nil {
		return o, fmt.Errorf("find free ports: %w: %w", err, probes.ErrBench)
	}
	o.Ports = refdevice.Ports{HTTPS: ports[0], MQTT: ports[1], CoAPS: ports[2], CoAP: ports[3], Telnet: ports[4]}
	o.Network = refdevice.Network{Mode: refdevice.ModeLoopback, Host: loopback}
	return o, nil
}

// freePorts finds ports that nobody uses, over TCP and UDP alike. All are held until the last is found,
// so that they differ.
func freePorts(n int) ([]int, error) {
	var ports []int
	for tries := 0; len(ports) < n; tries++ {
		l, err := net.Listen("tcp", loopback+":0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		c, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			if tries > 20*n {
				return nil, err
			}
			continue
		}
		defer func() { _ = c.Close() }()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// A machine is a reference device that has not been started yet.
type machine struct {
	config   refdevice.Config
	file     string // the configuration as the device will read it
	args     []string
	pristine []byte // its flash as delivered
	alone    bool   // nobody else is at its cloud
}

// prepare writes the bench's own copy of the device's configuration, with the network that this bench
// has for it, and keeps its flash as delivered.
func prepare(o Options, change func(*refdevice.Config)) (*machine, error) {
	if o.Device == nil {
		return nil, fmt.Errorf("start the device: this bench needs to be told which: %w", probes.ErrBench)
	}
	c, err := refdevice.LoadConfig(o.Device.Config)
	if err != nil {
		return nil, unusable(err)
	}
	if o.Device.MAC != "" {
		c.MAC = o.Device.MAC
	}
	if o.Device.Flash != "" {
		c.Flash = o.Device.Flash
	}
	if c.Flash, err = filepath.Abs(c.Flash); err != nil {
		return nil, fmt.Errorf("find the device's flash: %w: %w", err, probes.ErrBench)
	}
	change(&c)
	m := &machine{alone: !o.Several, config: c, args: slices.Clone(o.Device.Args)}
	if m.pristine, err = delivered(c.Flash, o.Device.Delivered); err != nil {
		err = fmt.Errorf("keep the device's flash as delivered: %w", err)
		if !errors.Is(err, probes.ErrBench) { // what cannot be read is the caller's, what cannot be written ours
			err = unusable(err)
		}
		return nil, err
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the device's configuration: %w: %w", err, probes.ErrBench)
	}
	own := filepath.Join(o.Dir, "device-"+filepath.Base(o.Unit)+".json")
	if own, err = filepath.Abs(own); err == nil {
		err = copyFile(own, append(text, '\n'))
	}
	if err != nil {
		return nil, fmt.Errorf("write the device's configuration: %w: %w", err, probes.ErrBench)
	}
	m.file = own
	for i, a := range m.args {
		if a == o.Device.Config {
			m.args[i] = own
		}
	}
	return m, nil
}

// delivered is a flash as it was delivered. Where an earlier leg of the run kept it, the device gets that back.
func delivered(flash, kept string) ([]byte, error) {
	if kept == "" {
		return readBounded(flash, maxFlash)
	}
	b, err := readBounded(kept, maxFlash)
	switch {
	case err == nil:
		return b, ours(copyFile(flash, b))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if b, err = readBounded(flash, maxFlash); err != nil {
		return nil, err
	}
	// Under its name it must be whole, whenever somebody pulls the plug.
	if err := copyFile(kept+".part", b); err != nil {
		return nil, ours(err)
	}
	return b, ours(os.Rename(kept+".part", kept))
}

// ours marks a failure as the bench's.
func ours(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", err, probes.ErrBench)
}

// discard takes the configuration away again: a device reads it once, before it is told to start.
func (m *machine) discard() { _ = os.Remove(m.file) }

// renew takes the power from the device, puts its flash back as delivered, forgets what its cloud keeps, and
// gives it the power again.
func (m *machine) renew(ctx context.Context, p *process, s *servers, forget func()) error {
	if err := p.control(ctx, "power off"); err != nil {
		return err
	}
	if err := copyFile(m.config.Flash, m.pristine); err != nil {
		return fmt.Errorf("put the flash back: %w: %w", err, probes.ErrBench)
	}
	if s.broker != nil {
		// A last will must not arrive after the cloud was emptied.
		leaving, cancel := context.WithTimeout(ctx, answerTime)
		err := m.left(leaving, s)
		cancel()
		if err != nil {
			return fmt.Errorf("wait until the device has left its cloud: %w: %w", err, probes.ErrBench)
		}
		if m.alone {
			s.broker.Clear()
		} else {
			s.broker.ClearOf(m.config.Serial)
		}
	}
	forget()
	return p.control(ctx, "power on")
}

// left waits until the device has left its cloud.
func (m *machine) left(ctx context.Context, s *servers) error {
	if m.alone {
		return s.broker.Deserted(ctx)
	}
	return s.broker.DesertedBy(ctx, m.config.Serial)
}

// cloudAt is the cloud's host with another port.
func cloudAt(cloud string, port uint16) string {
	host, _, err := net.SplitHostPort(cloud)
	if err != nil {
		return cloud
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
