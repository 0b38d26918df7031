package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"assay/lab/bench/console"
	"assay/lab/bench/power"
	"assay/lab/drive"
	"assay/probes"
)

// Button is how the device's buttons are pressed: by a program, or by the person at the bench.
type Button struct {
	Command []string `yaml:"command"`
	Person  bool     `yaml:"person"`
}

// Console is the device's serial console.
type Console struct {
	Port  string `yaml:"port"`
	Speed int    `yaml:"speed"`
}

// Instruments are what a lab has around one unit, where a run holds several.
type Instruments struct {
	Flash   *Storage      `yaml:"flash"`
	Button  *Button       `yaml:"button"`
	Power   *power.Config `yaml:"power"`
	Console *Console      `yaml:"console"`
}

// of is the bench file as it is for one unit. What stands at the top is around the first unit: it must not
// switch off, reset or read another.
func (f *File) of(unit string, beside bool) *File {
	own := *f
	if i, has := f.Units[unit]; has {
		own.Flash, own.Button, own.Power, own.Console = i.Flash, i.Button, i.Power, i.Console
	} else if beside {
		own.Flash, own.Button, own.Power, own.Console = nil, nil, nil, nil
	}
	return &own
}

// checkUnits holds the same rules for what stands below units.
func (f *File) checkUnits(bad func(key, say string, args ...any) error) error {
	for _, id := range slices.Sorted(maps.Keys(f.Units)) {
		below := func(key, say string, args ...any) error {
			return bad("units."+id+"."+key, say, args...)
		}
		if err := f.of(id, true).checkInstruments(below); err != nil {
			return err
		}
	}
	return nil
}

// checkInstruments holds the rules of power, button, console and flash.
func (f *File) checkInstruments(bad func(key, say string, args ...any) error) error {
	if s := f.Flash; s != nil {
		switch {
		case (len(s.Command) > 0) == (s.File != ""):
			return bad("flash", "give either command or file")
		case len(s.Command) > 0 && s.Command[0] == "":
			return bad("flash.command", "name the program first")
		case s.Restore != nil && (len(s.Restore) == 0 || s.Restore[0] == ""):
			return bad("flash.restore", "name the program first")
		}
	}
	if p := f.Button; p != nil {
		switch {
		case p.Person && p.Command != nil:
			return bad("button", "give either command or person: true")
		case !p.Person && (len(p.Command) == 0 || p.Command[0] == ""):
			return bad("button.command", "name the program first")
		}
	}
	if f.Power != nil {
		if fault := f.Power.Check(); fault != nil {
			return bad(strings.TrimSuffix("power."+fault.Key, "."), "%s", fault.Say)
		}
	}
	if c := f.Console; c != nil {
		switch {
		case c.Port == "":
			return bad("console.port", "name the serial port, e.g. /dev/ttyUSB0")
		case c.Speed < 0 || c.Speed > 4_000_000:
			return bad("console.speed", "want the speed in baud, up to 4000000, have %d", c.Speed)
		}
	}
	return nil
}

// instruments puts power, button, flash and console to use as bench.yaml says. What cannot work is told now,
// before anything is asked of the device.
func (b *Bench) instruments(ctx context.Context, o Options) (drive.Button, error) {
	f := o.File
	if f.Flash != nil {
		b.Probes.Flash = storage(f.Flash, f.Dir)
	}
	if err := b.listen(ctx, o); err != nil {
		return nil, err
	}
	if err := b.supplied(ctx, o); err != nil {
		return nil, err
	}
	switch {
	case f.Button == nil:
		return nil, nil
	case !f.Button.Person:
		return buttonCommand{command{f.Button.Command, f.Dir}}, nil
	case o.Person == nil:
		return nil, withHint(fmt.Errorf("%s: button: nobody sits at this bench: %w", f.Name, probes.ErrBench), "run it at a terminal, or let a program press: button: {command: [PROGRAM, '{{button}}', '{{seconds}}']}")
	}
	return nil, nil // without an instrument the driver asks the person
}

// listen opens the console, whose log lies in the run's folder until the run is over.
func (b *Bench) listen(ctx context.Context, o Options) error {
	f := o.File
	if f.Console == nil {
		return nil
	}
	path := o.file("console", ".log")
	c, err := console.Open(ctx, console.Options{Port: f.Console.Port, Speed: f.Console.Speed, Path: path, Clock: b.Probes.Clock})
	if err != nil {
		hint := "this machine has no serial port; is the adapter plugged in?"
		if ports := console.Ports(); len(ports) > 0 {
			hint = "console.port in the bench file names it; this machine has " + strings.Join(ports, ", ")
		}
		return withHint(fmt.Errorf("%s: console: %w", f.Name, err), hint)
	}
	b.ConsoleLog = path
	b.description.Notes = append(b.description.Notes, fmt.Sprintf("console: %s, logged with the bench's time in %s", f.Console.Port, filepath.Base(path)))
	b.onClose(func() error {
		err := c.Close()
		if s := c.Stats(); s.Lost > 0 || s.Gaps > 0 {
			b.say("console: %d bytes are not in %s, the port was gone %d times", s.Lost, filepath.Base(path), s.Gaps)
		}
		return err
	})
	return nil
}

// supplied puts the device's switch to use. One that cannot be asked, or that is off, is dealt with before the run.
func (b *Bench) supplied(ctx context.Context, o Options) error {
	f := o.File
	if f.Power == nil {
		return nil
	}
	var person power.Person
	if o.Person != nil {
		person = o.Person
	}
	to, err := f.Power.Open(f.Dir, person, programs(f.Dir))
	if err != nil {
		return withHint(unusable(fmt.Errorf("%s: power: %w", f.Name, err)), "correct power in the bench file")
	}
	s := power.New(to, b.Probes.Clock)
	on, err := s.Ask(ctx)
	if err == nil && !on {
		b.say("power: %s is off, so it is switched on", s)
		err = s.On(ctx)
	}
	if err != nil {
		return withHint(fmt.Errorf("%s: power: %w", f.Name, err), "try the switch by hand; the bench must reach it, and it must tell its state")
	}
	b.description.Notes = append(b.description.Notes, "power: "+s.String())
	b.supply(ctx, s)
	return nil
}

// supply hands the switch to the probes. No device is left dark.
func (b *Bench) supply(ctx context.Context, s *power.Supply) {
	b.switched, b.Probes.Power = s, s
	b.onClose(func() error {
		if !s.Dark() {
			return nil
		}
		return s.On(context.WithoutCancel(ctx))
	})
}

// programs runs the lab's own programs for a switch, and bounds what they print.
func programs(dir string) power.Runner {
	return func(ctx context.Context, argv []string, values map[string]string) ([]byte, error) {
		c := command{argv, dir}
		cmd := c.prepare(ctx, values)
		var printed, complained strings.Builder
		cmd.Stdout = &limited{to: &printed, left: maxComplain}
		cmd.Stderr = &limited{to: &complained, left: maxComplain}
		if err := cmd.Run(); err != nil {
			if ctx.Err() != nil {
				err = errors.Join(err, ctx.Err())
			}
			return nil, fmt.Errorf("run %s: %w: %s", argv[0], err, strings.TrimSpace(complained.String()))
		}
		return []byte(printed.String()), nil
	}
}

// Logs lists what instruments wrote into the run's folder, whole once the bench is closed.
func (b *Bench) Logs() []string {
	return slices.DeleteFunc([]string{b.DeviceLog, b.ConsoleLog}, func(name string) bool {
		if name == "" {
			return true
		}
		_, err := os.Stat(name)
		return err != nil
	})
}
