package refdevice

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stopGrace is what running requests get when the firmware ends by itself.
const stopGrace = 250 * time.Millisecond

// A life is the firmware from one start to the next.
type life struct {
	config Config
	flaws  flawSet
	log    *slog.Logger
	ram    *ram
	flash  *flash
	boot   *bootloader
	image  bootImage // what runs
	id     identity
	store  *store
	clock  *clock

	sessions *sessions
	httpLock *lockout
	mqttLock *lockout
	cloud    *cloud
	updates  chan string // URLs to fetch; taken one at a time
	ends     chan ending // the first one ends this life

	broken   atomic.Bool // health says so
	uplink   *uplink
	mu       sync.Mutex // guards the rest
	state    string     // for the cloud: ok, updating
	lastword string     // how the last update ended
}

// An ending is why the firmware stops: for a reset, or only to start again.
type ending struct{ reset string }

// How a reset can be asked for.
const (
	byCommand = "command"
	byButton  = "button"
)

// resetHold is how long the button must be held.
const resetHold = 5 * time.Second

// wake does what happens before the network: the bootloader, then the data.
func (m *machine) wake(f *flash, memory *ram) (*life, error) {
	boot, err := openBootloader(f, newPolicy(m.flaws))
	if err != nil {
		return nil, err
	}
	image, err := boot.boot(m.log)
	if err != nil {
		return nil, err
	}
	id, err := readIdentity(f)
	if err != nil {
		return nil, err
	}
	data, err := openStore(f)
	if err != nil {
		return nil, err
	}
	l := &life{
		config: m.config, flaws: m.flaws, log: m.log, ram: memory,
		flash: f, boot: boot, image: image, id: id, store: data,
		clock:    newClock(m.config.Now, id.Made),
		sessions: &sessions{now: m.config.Now},
		httpLock: &lockout{now: m.config.Now, off: m.flaws.has(NoLockout)},
		mqttLock: &lockout{now: m.config.Now, off: m.flaws.has(NoMQTTLockout)},
		updates:  make(chan string),
		ends:     make(chan ending, 1),
		state:    "ok",
	}
	l.cloud = newCloud(l)
	if err := l.cold(); err != nil {
		return nil, err
	}
	if boot.current().Wiping {
		l.log.Warn("finishing a factory reset that lost its supply")
		if err := l.wipe(); err != nil {
			return nil, err
		}
	}
	l.log.Info("started", "version", l.version(), "named", l.hostName() != l.defaultName(), "slot", slots[image.slot].name, "counter", image.counter)
	return l, nil
}

// sleep waits for the end of the supply; a device without firmware does not even see its button.
func sleep(ctx context.Context, presses <-chan control) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-presses:
		}
	}
}

// run joins the network and serves until this life ends.
func (l *life) run(ctx context.Context, presses <-chan control) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	up, err := plug(ctx, l.config.Network, l.config.MAC, l.hostName(), l.log)
	if err != nil {
		return err
	}
	defer up.leave()
	l.uplink = up
	services, err := l.serve(ctx)
	if err != nil {
		return err
	}
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { l.keepPlace(ctx) })
	timeKnown := make(chan struct{})
	background.Go(func() { l.clock.keep(ctx, l.timeServer, l.log, timeKnown) })
	background.Go(func() { l.cloud.run(ctx, timeKnown) })

	end, alive := l.wait(ctx, presses)
	if !alive {
		services.stop(0)
		return nil
	}
	services.stop(stopGrace)
	if end.reset == "" {
		return nil
	}
	return l.reset(ctx, end.reset)
}

// wait returns the first reason to end; false where the supply went.
func (l *life) wait(ctx context.Context, presses <-chan control) (ending, bool) {
	for {
		select {
		case <-ctx.Done():
			return ending{}, false
		case e := <-l.ends:
			return e, true
		case c := <-presses:
			if c.what == "reset" && c.holds >= resetHold {
				return ending{reset: byButton}, true
			}
			l.log.Info("button without effect", "button", c.what, "held", c.holds)
		}
	}
}

// end asks for the end of this life; where one is on its way already, that one counts.
func (l *life) end(e ending) {
	select {
	case l.ends <- e:
	default:
	}
}

// keepPlace restarts the device when its place in the network is lost.
func (l *life) keepPlace(ctx context.Context) {
	if err := l.uplink.hold(ctx); err != nil {
		l.log.Warn("network lost, starting again", "error", err)
		l.end(ending{})
	}
}

// timeServer is the one the network named, else the maker's.
func (l *life) timeServer(ctx context.Context) (string, error) {
	if l.uplink.ntp != "" {
		return l.uplink.ntp, nil
	}
	found, err := l.uplink.resolver.lookup(ctx, TimeHost)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(found[0].String(), "123"), nil
}

func (l *life) version() string { return l.image.version.String() }

// hostName is what DHCP servers get to see.
func (l *life) hostName() string {
	l.ram.mu.Lock()
	name := l.ram.name
	l.ram.mu.Unlock()
	if name == "" {
		name = l.store.profile().Name
	}
	if h := hostName(name); h != "" {
		return h
	}
	return l.defaultName()
}

// defaultName is that of a device without an owner.
func (l *life) defaultName() string {
	return hostName("thermostat-" + strings.ToLower(l.config.Serial))
}

// services are the device's own servers.
type services []func(grace time.Duration)

func (s services) stop(grace time.Duration) {
	var all sync.WaitGroup
	for _, stop := range s {
		all.Go(func() { stop(grace) })
	}
	all.Wait()
}

// serve opens every port, or none. The admin API comes last: when it answers, everything does.
func (l *life) serve(ctx context.Context) (services, error) {
	var running services
	for _, start := range []func(context.Context) (func(time.Duration), error){
		l.startUpdates, l.startBroker, l.startCoAPS, l.startCoAP, l.startTelnet, l.startAdmin,
	} {
		stop, err := start(ctx)
		if err != nil {
			running.stop(0)
			return nil, err
		}
		running = append(running, stop)
	}
	return running, nil
}

func (l *life) listenAddress(port int) string {
	return net.JoinHostPort(l.uplink.address, strconv.Itoa(port))
}

// listen opens a TCP port; its connections are bounded.
func (l *life) listen(ctx context.Context, port int) (*listener, error) {
	var config net.ListenConfig
	in, err := config.Listen(ctx, "tcp", l.listenAddress(port))
	if err != nil {
		return nil, err
	}
	return newListener(in), nil
}

// listen6 opens a TCP port over IPv6 alone: at every address that the device has, or that of its loopback where its own is of the loopback.
func (l *life) listen6(ctx context.Context, port int) (*listener, error) {
	host := "::"
	if l.config.Network.Mode == ModeLoopback {
		host = "::1"
	}
	var config net.ListenConfig
	in, err := config.Listen(ctx, "tcp6", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	return newListener(in), nil
}
