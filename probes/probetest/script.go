package probetest

import (
	"time"

	"assay/probes"
)

// A Script says how the scripted thermostat and its bench behave. The zero value is a good
// device on a full bench: it has the operations of a connected thermostat, locks after
// five wrong tries for two seconds, takes genuine newer images, and forgets its user.
type Script struct {
	Without []probes.Instrument       // instruments the bench lacks
	Lacks   []string                  // operations the dossier lacks
	Answers map[string]probes.Outcome // operation -> outcome, whatever the device would do
	Credentials
	Updating
	Wiping
	Exposing
	Calling
	Powering
	Imaging
}

// Credentials says how the logins behave.
type Credentials struct {
	Login    probes.Login   // of the label; default admin with a random-looking password, lock-out 5 for 2 s
	MAC      string         // default 02:00:5e:10:4a:7f
	Others   []probes.Login // of the other units in the dossier
	Also     []probes.Login // get in as well
	AlsoSees probes.Outcome // what the recipe makes of it when they get in, say to another prompt; default done
	Open     bool           // nobody at all gets in
	Any      bool           // every password gets in
	Says     probes.Outcome // how it says no; default refused
	NoLock   bool           // never locks
	LockAt   int            // wrong tries until it locks, whatever is declared; default 5
	Form     string         // expression for what can be a password: what cannot is refused, and not counted as a try
	ByName   bool           // it counts and locks each account by itself
	Locked   probes.Outcome // what it answers while locked; default limited
	LockEnds time.Duration  // length of its lock; default 2 s
	Sleepy   time.Duration  // each wrong try in a row is answered that much later than the one before
	Flaky    int            // each so many-th login goes unanswered
}

// Updating says how updates behave.
type Updating struct {
	Versions       []string      // of the maker's images; default 0.9.0, 1.0.0 (installed), 1.1.0, 1.2.0, 1.3.0
	Takes          []string      // bad images it runs: tampered, tampered-plain, unsigned, wrong-key, older
	RefusesGenuine bool          // takes no image at all
	NeverFetches   bool          // says yes and fetches nothing
	HeadOnly       bool          // stops fetching once it has seen that an image is older
	Dawdles        time.Duration // from being told until it fetches; default 200 ms
	Slow           time.Duration // from the last byte until it decides; default 300 ms
	Jams           bool          // after a refusal it fetches nothing any more
	Dizzy          time.Duration // after a refusal its health operation says no for a while
	Crashes        bool          // after a refusal its health operation says no
	Bricks         bool          // after a refusal it answers nothing any more
	Mute           bool          // does not tell its version
	Writes         string        // how it writes a version: "v%s"; default "%s"
	Busy           time.Duration // after it decided about an image it says no to the next one for a while
	Lingers        bool          // what it refuses stays where its bootloader takes it at the next start
	Lazy           time.Duration // from the head of an image until it fetches the rest
}

// Wiping says what a factory reset leaves.
type Wiping struct {
	KeepsAPI      bool // read-name goes on answering
	KeepsFlash    bool // the storage is not erased
	KeepsBackup   bool // a base64 copy stays in the storage
	KeepsRetained bool // the cloud's retained messages stay
	KeepsAccounts bool // added accounts can log in
	Chatty        bool // it sends what it stores in clear; a good device may, before the reset
	Prompt        bool // it has reset itself before the operation returns
	Leaks         bool // the old name is in its first frame after the restart
	Encrypted     bool // nothing in the storage can be read
	WritesBehind  bool // the storage is a second late
	OnlyRestarts  bool // a reset erases nothing
	NeverBack     bool // it does not come back
	ForgetsLabel  bool // the label's login no longer works
	Forgets       bool // stores nothing
	Torn          bool // the capture lost frames
	Goodbye       bool // before it goes down for a reset it says in clear who it was
	Stays         bool // it does not go down for a reset
	Hides         bool // only its name is in the storage where it can be read
	ShortDump     bool // after the reset the storage is read by half
}

// Exposing says at which ports it answers, beside TLS at tcp 8443 and 8884 and DTLS at udp 5684.
type Exposing struct {
	More       []probes.Port // TCP ports that answer too
	Shut       []int         // TCP ports that do not
	PlainCoAP  bool          // udp 5683 answers
	Everywhere bool          // every TCP port answers
	Drops      int           // TCP ports that say nothing
	Flickers   bool          // the link was gone while ports were silent
	Dark       bool          // no port answers that should
	Unplugged  bool          // nothing answers any more at the end
	Topples    bool          // the scan makes it ill
	Unscanned  []string      // what the bench could not try
}

func (s Script) withDefaults() Script {
	if s.Login == (probes.Login{}) {
		s.Login = probes.Login{Username: "admin", Password: "Vq7mK2xRt9Ls", LockoutAfter: 5, LockoutLasts: 2 * time.Second}
	}
	if s.Backoff == 0 {
		s.Backoff = 250 * time.Millisecond
	}
	if s.Offers.Highest == "" {
		s.Offers = probes.Call{
			SNI: "cloud.thermostat.example", Lowest: "TLS 1.2", Highest: "TLS 1.3", Tickets: true,
			Ciphers: []uint16{0x1301, 0xc02b}, CipherNames: []string{"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
		}
	}
	if s.MAC == "" {
		s.MAC = "02:00:5e:10:4a:7f"
	}
	if s.Says == "" {
		s.Says = probes.Refused
	}
	if s.Locked == "" {
		s.Locked = probes.Limited
	}
	if s.LockAt == 0 {
		s.LockAt = 5
	}
	if s.LockEnds == 0 {
		s.LockEnds = 2 * time.Second
	}
	if s.Dawdles == 0 {
		s.Dawdles = 200 * time.Millisecond
	}
	if s.Slow == 0 {
		s.Slow = 300 * time.Millisecond
	}
	if s.Versions == nil {
		s.Versions = []string{"0.9.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0"}
	}
	if s.Writes == "" {
		s.Writes = "%s"
	}
	s.Imaging = s.Imaging.withDefaults()
	return s
}
