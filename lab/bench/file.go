package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"assay/lab"
	"assay/lab/bench/power"
)

const maxFile = 64 << 10

// A File is bench.yaml: what a lab has around a device.
type File struct {
	Assay     string                 `yaml:"assay"` // "bench/v1"
	Mode      string                 `yaml:"mode"`  // attached, gateway or offline
	Interface string                 `yaml:"interface"`
	Flash     *Storage               `yaml:"flash"`
	Button    *Button                `yaml:"button"`
	Power     *power.Config          `yaml:"power"`
	Console   *Console               `yaml:"console"`
	Serve     *Serve                 `yaml:"serve"` // attached only
	Capture   *CaptureFile           `yaml:"capture"`
	Units     map[string]Instruments `yaml:"units"` // by unit, where a run holds several

	// Gateway only.
	Address string     `yaml:"address"` // of the bench, with the length of its network's prefix
	DHCP    *DHCPFile  `yaml:"dhcp"`
	DNS     *NamesFile `yaml:"dns"`
	IPv6    *IPv6File  `yaml:"ipv6"`
	Uplink  *Uplink    `yaml:"uplink"`

	SelfTest *SelfTest `yaml:"selftest"` // gateway only

	Laboratory *lab.Laboratory `yaml:"laboratory"` // who tests, for the report

	Name string `yaml:"-"` // the file's name as given
	Dir  string `yaml:"-"` // the folder that relative names are meant from
}

// Storage is how the device's storage is read: a program that writes it to its standard output, or a file.
// Restore is a program that writes it as it was delivered.
type Storage struct {
	Command []string `yaml:"command"`
	File    string   `yaml:"file"`
	Restore []string `yaml:"restore"`
}

// SelfTest is how often a gateway proves itself with a known-good device, beside before and after the run.
type SelfTest struct {
	Every int `yaml:"every"` // steps
}

// Serve is what the bench may serve to the device, at an address of the interface.
type Serve struct {
	Address string `yaml:"address"`
	Updates bool   `yaml:"updates"`
	Broker  bool   `yaml:"broker"`
}

// ReadFile reads bench.yaml strictly: a complaint names the file, the line and the key.
func ReadFile(name string) (*File, error) {
	b, err := readBounded(name, maxFile)
	if err != nil {
		return nil, unusable(fmt.Errorf("read bench file %s: %w", name, err))
	}
	dir, err := filepath.Abs(filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("read bench file %s: %w", name, err)
	}
	return ParseFile(name, b, dir)
}

// ParseFile reads bench.yaml from bytes.
func ParseFile(name string, b []byte, dir string) (*File, error) {
	tree, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, located(name, err)
	}
	if err := plain(name, tree); err != nil {
		return nil, err
	}
	f := &File{Name: name, Dir: dir}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(f); err != nil {
		return nil, located(name, err)
	}
	if err := f.check(tree.Docs[0].Body); err != nil {
		return nil, err
	}
	return f, nil
}

// plain wants one document that is a mapping, without anchors: a bench file of a few lines needs none,
// and they can blow a small file up.
func plain(name string, tree *ast.File) error {
	if len(tree.Docs) != 1 || tree.Docs[0].Body == nil {
		return fault(name, 1, "", "want one document with the keys of a bench file")
	}
	body := tree.Docs[0].Body
	switch body.Type() {
	case ast.MappingType, ast.MappingValueType:
	default:
		return fault(name, line(body), "", "want keys and values")
	}
	for _, kind := range []ast.NodeType{ast.AnchorType, ast.AliasType, ast.MergeKeyType} {
		if found := ast.Filter(kind, body); len(found) > 0 {
			return fault(name, line(found[0]), "", "anchors and aliases are not read here")
		}
	}
	return nil
}

// check holds the rules that the types cannot.
func (f *File) check(body ast.Node) error {
	bad := func(key, say string, args ...any) error {
		return fault(f.Name, lineOf(body, key), key, fmt.Sprintf(say, args...))
	}
	switch {
	case f.Assay != "bench/v1":
		return bad("assay", "want bench/v1, have %.32q", f.Assay)
	case f.Mode != ModeAttached && f.Mode != ModeGateway && f.Mode != ModeOffline:
		return bad("mode", "want attached, gateway or offline, have %.32q", f.Mode)
	}
	if l := f.Laboratory; l != nil && l.Name == "" {
		return bad("laboratory", "a laboratory has a name at least")
	}
	if err := f.checkMode(bad); err != nil {
		return err
	}
	if f.Mode == ModeOffline {
		return nil
	}
	if f.Interface == "" {
		return bad("interface", "name the network interface that reaches the device")
	}
	if err := f.checkInstruments(bad); err != nil {
		return err
	}
	if err := f.checkCapture(bad); err != nil {
		return err
	}
	if err := f.checkUnits(bad); err != nil {
		return err
	}
	if s := f.Serve; s != nil {
		if a, err := netip.ParseAddr(s.Address); err != nil || a.IsUnspecified() {
			return bad("serve.address", "want the bench's own IP address on %s, have %.48q", f.Interface, s.Address)
		}
		if !s.Updates && !s.Broker {
			return bad("serve", "serve nothing? set updates or broker to true, or leave it out")
		}
	}
	return f.checkGateway(bad)
}

// fault is a complaint about one place of the file.
func fault(name string, at int, key, say string) error {
	if key != "" {
		say = "key " + key + ": " + say
	}
	return unusable(fmt.Errorf("%s:%d: %s", name, at, say))
}

// located turns the library's complaint into one line with file and line.
func located(name string, err error) error {
	var at yaml.Error
	if !errors.As(err, &at) || at.GetToken() == nil {
		return unusable(fmt.Errorf("%s:1: %s", name, firstLine(err.Error())))
	}
	t := at.GetToken()
	say := firstLine(at.GetMessage())
	var unknown *yaml.UnknownFieldError
	if errors.As(err, &unknown) {
		return fault(name, t.Position.Line, t.Value, "unknown key")
	}
	var kind *yaml.TypeError
	if errors.As(err, &kind) {
		say = "want " + wanted(kind.DstType)
	}
	var shape *yaml.UnexpectedNodeTypeError
	if errors.As(err, &shape) && shape.Expected == ast.MappingType {
		say = "want keys and values; a secret is {env: NAME}, {file: NAME} or {text: VALUE}"
	}
	if key := keyBefore(t); key != "" && !strings.Contains(say, "mapping key") {
		return fault(name, t.Position.Line, key, say)
	}
	return fault(name, t.Position.Line, "", say)
}

// wanted is a type in words.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list of texts"
	case reflect.Int, reflect.Int64, reflect.Uint8:
		return "a whole number"
	default:
		return "keys and values"
	}
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(s, "\n")
	return first
}

// keyBefore is the key whose value a token stands in.
func keyBefore(t *token.Token) string {
	for ; t != nil; t = t.Prev {
		if t.Type == token.MappingValueType && t.Prev != nil {
			return t.Prev.Value
		}
	}
	return ""
}

// lineOf is the line of a key ("serve.address"), or of the nearest key around it that exists.
func lineOf(body ast.Node, key string) int {
	words := strings.Split(key, ".")
	for n := len(words); n > 0; n-- {
		path, err := yaml.PathString("$." + strings.Join(words[:n], "."))
		if err != nil {
			continue
		}
		if node, err := path.FilterNode(body); err == nil && node != nil {
			return keyLine(body, words[:n], node)
		}
	}
	return line(body)
}

// keyLine prefers the line of the key to that of its value.
func keyLine(body ast.Node, words []string, value ast.Node) int {
	for _, found := range ast.Filter(ast.MappingValueType, body) {
		if m, ok := found.(*ast.MappingValueNode); ok && m.Value == value && m.Key.GetToken().Value == words[len(words)-1] {
			return m.Key.GetToken().Position.Line
		}
	}
	return line(value)
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}
