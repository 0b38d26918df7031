// Package elfs is for telling how an ELF program was hardened when it was built, by what its
// headers and symbols show. It runs nothing and judges nothing: what is missing is a fact.
package elfs

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"assay/firmware/inspect/found"
)

// Hardening is what one ELF file shows.
type Hardening struct {
	Path      string   `json:"path"`
	Machine   string   `json:"machine"`             // x86-64, arm
	Kind      string   `json:"kind"`                // executable, shared-object
	PIE       bool     `json:"pie"`                 // of an executable: it can be loaded anywhere
	NX        bool     `json:"nx"`                  // the stack is not executable
	Canary    bool     `json:"canary"`              // stack protector
	RELRO     string   `json:"relro"`               // none, partial, full
	Fortify   bool     `json:"fortify"`             // checked variants of libc functions are called
	RPath     string   `json:"rpath,omitempty"`     // DT_RPATH
	RunPath   string   `json:"runpath,omitempty"`   // DT_RUNPATH
	Stripped  bool     `json:"stripped"`            // no symbol table beside the dynamic one
	Static    bool     `json:"static"`              // no interpreter and no dynamic libraries
	Go        string   `json:"go,omitempty"`        // version of the compiler of a Go program, which has no use for canary and fortify
	Branch    []string `json:"branch,omitempty"`    // ibt, shstk, bti, pac
	Dangerous []string `json:"dangerous,omitempty"` // imported functions that cannot be used safely, or start a shell
}

// dangerous imports: no bound on what they write, or a shell in between.
var dangerous = []string{"gets", "strcpy", "strcat", "sprintf", "vsprintf", "scanf", "system", "popen", "mktemp", "tmpnam"}

// machines in the usual words.
var machines = map[elf.Machine]string{elf.EM_X86_64: "x86-64", elf.EM_386: "x86", elf.EM_ARM: "arm", elf.EM_AARCH64: "arm64", elf.EM_MIPS: "mips",
	elf.EM_RISCV: "riscv", elf.EM_PPC: "powerpc", elf.EM_PPC64: "powerpc64", elf.EM_XTENSA: "xtensa", elf.EM_LOONGARCH: "loongarch", elf.EM_SH: "sh"}

// Is tells whether b begins with an ELF header.
func Is(b []byte) bool { return len(b) >= 52 && string(b[:4]) == elf.ELFMAG }

// Read tells the hardening of an executable or a shared object. Object files and kernel
// modules have none: nil without an error.
func Read(f found.File) (h *Hardening, err error) {
	defer func() {
		// The standard library's reader has met hostile files before, and it may again.
		if r := recover(); r != nil {
			h, err = nil, fmt.Errorf("read ELF: %v", r)
		}
	}()
	e, err := elf.NewFile(f.Section(0, f.Size()))
	if err != nil {
		return nil, fmt.Errorf("read ELF: %w", err)
	}
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN {
		return nil, nil
	}
	h = &Hardening{Machine: machines[e.Machine], RELRO: "none", Kind: "executable"}
	if h.Machine == "" {
		h.Machine = strings.ToLower(strings.TrimPrefix(e.Machine.String(), "EM_"))
	}
	h.segments(e)
	h.symbols(e)
	if info, err := buildinfo.Read(f.Section(0, f.Size())); err == nil {
		h.Go = info.GoVersion
	}
	return h, nil
}

func (h *Hardening) segments(e *elf.File) {
	var interp, relro bool
	for _, p := range e.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			interp = true
		case elf.PT_GNU_RELRO:
			relro = true
		case elf.PT_GNU_STACK:
			h.NX = p.Flags&elf.PF_X == 0 // without this header many kernels make the stack executable
		case elf.PT_GNU_PROPERTY:
			h.branch(e, p)
		}
	}
	value := func(tag elf.DynTag) (uint64, bool) {
		v, err := e.DynValue(tag)
		if err != nil || len(v) == 0 {
			return 0, false
		}
		return v[0], true
	}
	_, debug := value(elf.DT_DEBUG)
	flags1, _ := value(elf.DT_FLAGS_1)
	flags, _ := value(elf.DT_FLAGS)
	_, bind := value(elf.DT_BIND_NOW)
	dynamic := e.SectionByType(elf.SHT_DYNAMIC) != nil
	if e.Type == elf.ET_DYN {
		if h.PIE = debug || interp || flags1&uint64(elf.DF_1_PIE) != 0; !h.PIE {
			h.Kind = "shared-object"
		}
	}
	libraries, _ := e.ImportedLibraries()
	h.Static = !interp && len(libraries) == 0 && h.Kind == "executable"
	if relro {
		h.RELRO = "partial"
		now := bind || flags&uint64(elf.DF_BIND_NOW) != 0 || flags1&uint64(elf.DF_1_NOW) != 0
		// Without a table of lazily bound functions nothing stays writable either.
		if now || dynamic && e.Section(".got.plt") == nil && e.Section(".got") != nil {
			h.RELRO = "full"
		}
	}
	if s, err := e.DynString(elf.DT_RPATH); err == nil {
		h.RPath = strings.Join(s, ":")
	}
	if s, err := e.DynString(elf.DT_RUNPATH); err == nil {
		h.RunPath = strings.Join(s, ":")
	}
}

// branch reads the marks of control-flow protection (x86 and AArch64 processor supplements).
func (h *Hardening) branch(e *elf.File, p *elf.Prog) {
	b := make([]byte, min(p.Filesz, 4096))
	if n, _ := p.ReadAt(b, 0); n < len(b) || len(b) < 16 {
		return
	}
	for b = b[16:]; len(b) >= 12; { // behind the note's header and "GNU"
		kind, size := e.ByteOrder.Uint32(b), e.ByteOrder.Uint32(b[4:])
		if uint64(size) > uint64(len(b)-8) {
			return
		}
		if size == 4 {
			bits := e.ByteOrder.Uint32(b[8:])
			names := [2]string{}
			switch kind {
			case 0xc0000002:
				names = [2]string{"ibt", "shstk"}
			case 0xc0000000:
				names = [2]string{"bti", "pac"}
			}
			for i, name := range names {
				if name != "" && bits>>i&1 == 1 {
					h.Branch = append(h.Branch, name)
				}
			}
		}
		step := 8 + (int(size)+7)&^7
		if step > len(b) {
			return
		}
		b = b[step:]
	}
}

func (h *Hardening) symbols(e *elf.File) {
	table, err := e.Symbols()
	h.Stripped = err != nil || len(table) == 0
	dyn, _ := e.DynamicSymbols()
	imported := map[string]bool{}
	for _, list := range [][]elf.Symbol{table, dyn} {
		for _, s := range list {
			name, _, _ := strings.Cut(s.Name, "@")
			switch {
			case name == "__stack_chk_fail" || name == "__stack_chk_guard" || name == "__stack_chk_fail_local" || name == "__intel_security_cookie":
				h.Canary = true
			case strings.HasPrefix(name, "__") && strings.HasSuffix(name, "_chk"):
				h.Fortify = true
			}
			if s.Section == elf.SHN_UNDEF {
				imported[name] = true
			}
		}
	}
	for _, name := range dangerous {
		if imported[name] {
			h.Dangerous = append(h.Dangerous, name)
		}
	}
	if !h.Canary && h.Static && h.Stripped {
		// No symbols to ask: the message of the handler is linked in with it.
		if s := e.Section(".rodata"); s != nil {
			if b, err := s.Data(); err == nil {
				h.Canary = bytes.Contains(b, []byte("stack smashing detected"))
			}
		}
	}
}

// Missing lists what was not done.
func (h *Hardening) Missing() []string {
	var out []string
	add := func(missing bool, what string) {
		if missing {
			out = append(out, what)
		}
	}
	add(!h.PIE && h.Kind == "executable", "no PIE")
	add(!h.NX, "executable stack")
	add(!h.Canary && h.Go == "", "no canary")
	add(h.RELRO == "none" && !h.Static, "no RELRO")
	add(h.RELRO == "partial", "partial RELRO")
	add(!h.Fortify && h.Go == "" && !h.Static, "no fortified functions")
	for _, p := range []string{h.RPath, h.RunPath} {
		for _, dir := range strings.Split(p, ":") {
			if p != "" && !slices.ContainsFunc([]string{"/lib", "/usr/", "/opt/", "$ORIGIN"}, func(good string) bool { return strings.HasPrefix(dir, good) }) {
				out = append(out, fmt.Sprintf("libraries from %q", dir))
			}
		}
	}
	return out
}
