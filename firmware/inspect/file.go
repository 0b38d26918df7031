package inspect

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"assay/firmware/format"
	"assay/firmware/inspect/elfs"
	"assay/firmware/inspect/found"
	"assay/firmware/inspect/secrets"
	"assay/firmware/inspect/tree"
)

// file looks at a file as what its place and its head say it is.
func (w *walk) file(n node, head []byte) error {
	f := found.File{Source: n.src, Name: n.name, Mode: n.mode, NoMode: n.noMode, UID: n.uid}
	if elfs.Is(head) {
		w.program(n, f)
		return nil
	}
	if !isText(n.src) {
		return nil
	}
	if n.src.Size() > found.MaxText {
		w.gap(n.path, 0, n.src.Size(), "text of more than %d bytes: searched for keys and tokens, not for passwords", found.MaxText)
		return nil
	}
	text, err := n.src.Whole(found.MaxText)
	if err != nil {
		w.gap(n.path, 0, n.src.Size(), "%v", err)
		return nil
	}
	f.Text = text
	w.report(n.path, secrets.Text(f)...)
	w.report(n.path, w.accounts.File(f)...)
	w.set.File(f, n.path)
	w.report(n.path, kernelConfig(text)...)
	return nil
}

// isText tells by the head that a file is text in UTF-8 or in an eight-bit code.
func isText(src format.Source) bool {
	b := src.Head(8 << 10)
	if len(b) == 0 || bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	control := 0
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			control++
		}
	}
	if control > len(b)/100 {
		return false
	}
	for cut := range utf8.UTFMax { // the head may end in the middle of a letter
		if len(b) > cut && utf8.Valid(b[:len(b)-cut]) {
			return true
		}
	}
	high := 0
	for _, c := range b {
		if c >= 0x80 {
			high++
		}
	}
	return high < len(b)/10
}

func (w *walk) program(n node, f found.File) {
	h, err := elfs.Read(f)
	if err != nil {
		w.gap(n.path, 0, n.src.Size(), "%v", err)
		return
	}
	if h == nil {
		return
	}
	h.Path = n.path
	w.inv.Programs = append(w.inv.Programs, *h)
	if missing := h.Missing(); len(missing) > 0 {
		w.report(n.path, Finding{Kind: found.Hardening, Digest: found.Digest([]byte(strings.Join(missing, ","))),
			Statement: fmt.Sprintf("%s %s: %s", h.Machine, h.Kind, strings.Join(missing, ", "))})
	}
	if h.Go != "" {
		w.set.Go(f, n.path)
	}
}

// rights judges the permissions of a file or folder.
func (w *walk) rights(e tree.Entry, n node) {
	if e.NoMode {
		return
	}
	tell := func(kind, statement string, args ...any) {
		w.report(n.path, Finding{Kind: kind, Statement: fmt.Sprintf(statement, args...), Digest: found.Digest([]byte(e.Mode.String()))})
	}
	if e.Mode.IsRegular() && e.Mode&fs.ModeSetuid != 0 && e.Mode&0o111 != 0 {
		tell(found.SetUID, "runs with the rights of uid %d, whoever starts it", e.UID)
	}
	if e.Mode.IsRegular() && e.Mode&fs.ModeSetgid != 0 && e.Mode&0o010 != 0 {
		tell(found.SetUID, "runs with the rights of gid %d, whoever starts it", e.GID)
	}
	if e.Mode&0o002 != 0 && (e.Mode.IsRegular() || e.Mode&fs.ModeSticky == 0) {
		tell(found.Permissions, "everybody may write it (%s)", e.Mode)
	}
	if base := path.Base(n.name); (base == "shadow" || base == "shadow-") && e.Mode&0o004 != 0 {
		tell(found.Permissions, "everybody may read the password hashes (%s)", e.Mode)
	}
}

// option is a switch of the Linux kernel and what it should be on a device that defends itself.
type option struct {
	name string
	want string // y, or n for "not set"
	why  string
}

// options are those of the Kernel Self Protection Project that hold on every machine.
var options = []option{
	{"STRICT_KERNEL_RWX", "y", "kernel code and constants stay writable"},
	{"STACKPROTECTOR", "y", "the kernel's stack has no canary"},
	{"HARDENED_USERCOPY", "y", "copies between kernel and user space are not bounded by the object"},
	{"FORTIFY_SOURCE", "y", "string functions of the kernel are not checked"},
	{"RANDOMIZE_BASE", "y", "the kernel is always at the same address"},
	{"SECCOMP", "y", "programs cannot give up system calls"},
	{"MODULE_SIG_FORCE", "y", "modules need no signature"},
	{"SLAB_FREELIST_RANDOM", "y", "the order of kernel objects is predictable"},
	{"BUG_ON_DATA_CORRUPTION", "y", "damaged kernel lists are used further"},
	{"SECURITY_DMESG_RESTRICT", "y", "everybody may read the kernel's log"},
	{"DEVMEM", "n", "physical memory can be opened as a file"},
	{"DEVKMEM", "n", "kernel memory can be opened as a file"},
	{"PROC_KCORE", "n", "kernel memory can be read as a file"},
	{"KEXEC", "n", "another kernel can be started without a signature"},
	{"DEBUG_FS", "n", "the debug file system is built in"},
	{"MAGIC_SYSRQ", "n", "keys at the console steer the kernel"},
	{"KGDB", "n", "the kernel has a debugger"},
	{"COMPAT_BRK", "n", "the heap is not moved at random"},
}

var (
	configHead   = regexp.MustCompile(`(?m)^# (?:Linux/\S+ \S+ Kernel Configuration|Automatically generated (?:make config|file); )`)
	configSwitch = regexp.MustCompile(`(?m)^(?:# )?CONFIG_([A-Z0-9_]+)(?:=([^\n]*)| is not set)`)
)

// kernelConfig judges the configuration that a kernel was built with: /boot/config-*, or
// what IKCONFIG keeps in the kernel itself.
func kernelConfig(text []byte) []Finding {
	if !configHead.Match(text[:min(len(text), 1024)]) {
		return nil
	}
	type value struct {
		set string
		at  int64
	}
	values := map[string]value{}
	for _, m := range configSwitch.FindAllSubmatchIndex(text, -1) {
		v := value{at: int64(m[0])}
		if m[4] >= 0 {
			v.set = string(text[m[4]:m[5]])
		}
		values[string(text[m[2]:m[3]])] = v
	}
	if len(values) < 20 { // of something else that is configured in the same way (BusyBox, U-Boot)
		return nil
	}
	if _, ok := values["MMU"]; !ok {
		if _, ok := values["MODULES"]; !ok {
			return nil
		}
	}
	var out []Finding
	for _, o := range options {
		v := values[o.name]
		if o.name == "STACKPROTECTOR" && v.set == "" { // before Linux 4.18
			v = values["CC_STACKPROTECTOR"]
		}
		on := v.set == "y" || v.set == "m"
		if on == (o.want == "y") {
			continue
		}
		state := "is not set"
		if on {
			state = "is set"
		}
		out = append(out, Finding{Kind: found.KernelConfig, Offset: v.at, Digest: found.Digest([]byte(o.name + "=" + v.set)), Statement: fmt.Sprintf("CONFIG_%s %s: %s", o.name, state, o.why)})
	}
	return out
}
