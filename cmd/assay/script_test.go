package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"assay/lab/bench"
)

// TestStories runs every story in testdata. Conditions: [bench] the full bench is possible
// here, [root], [exec:NAME] a program is installed.
func TestStories(t *testing.T) {
	t.Parallel()
	full := bench.Preflight(t.Context())
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(10 * time.Minute),
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "bench":
				if full != nil {
					t.Logf("no full bench: %v", full)
				}
				return full == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"flip":  flip,
			"pcap":  pcap,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TERM", "dumb")
			env.Setenv("GOOS", runtime.GOOS)
			return nil
		},
	})
}

// exits runs a program and wants one exit code: `exits 3 assay demo`. Its output is
// kept in the files out and err of the working folder.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	out, err := os.Create(ts.MkAbs("out"))
	ts.Check(err)
	defer out.Close()
	story, err := os.Create(ts.MkAbs("err"))
	ts.Check(err)
	defer story.Close()
	path, err := lookPath(ts, args[1])
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Args[0] = args[1]
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), out, story
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TERM=dumb", "PATH="+ts.Getenv("PATH"))
	err = cmd.Run()
	code := cmd.ProcessState.ExitCode()
	if want := args[0]; want != "" && want != itoa(code) {
		said, _ := os.ReadFile(ts.MkAbs("out"))
		told, _ := os.ReadFile(ts.MkAbs("err"))
		ts.Fatalf("%s exits %d (%v), want %s\nstdout:\n%s\nstderr:\n%s", strings.Join(args[1:], " "), code, err, want, said, told)
	}
}

func itoa(n int) string { return strconv.Itoa(n) }

// lookPath finds a program in the story's own PATH.
func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	return exec.LookPath(name)
}

// flip changes one bit in the middle of a file: `flip FILE`.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	b[len(b)/2] ^= 1
	ts.Check(os.WriteFile(path, b, 0o644))
}
