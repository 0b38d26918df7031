package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"assay/lab/bench"
	"assay/lab/refdevice"
	"assay/probes/catalog"
	"assay/profiles"
	"assay/profiles/dossier"
)

// blocks are the README's fenced blocks of one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		out = append(out, m[1])
	}
	require.NotEmpty(t, out)
	return out
}

// TestReadmeCommandsExist parses every command line of the README with the program's own flags.
func TestReadmeCommandsExist(t *testing.T) {
	tried := 0
	for _, block := range blocks(t, "sh") {
		for _, line := range strings.Split(block, "\n") {
			line, _, _ = strings.Cut(line, "#")
			words := shellWords(strings.TrimPrefix(strings.TrimSpace(line), "go run ./cmd/"))
			if len(words) == 0 || words[0] != "assay" && words[0] != "./assay" {
				continue
			}
			cmd, rest, err := command().Find(words[1:])
			require.NoError(t, err, line)
			require.NoError(t, cmd.ParseFlags(rest), line)
			require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()), line)
			tried++
		}
	}
	require.Greater(t, tried, 6)
}

// TestReadmeFigures holds what the README counts against what there is.
func TestReadmeFigures(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	words := strings.Join(strings.Fields(string(text)), " ")
	standards, _, err := library()
	require.NoError(t, err)
	require.Contains(t, words, fmt.Sprintf("%d profiles over %d standards", len(profiles.List(profiles.Embedded())), len(standards)))
	require.Contains(t, words, fmt.Sprintf("the clean device and one for each of %d flaws", len(refdevice.Flaws())))
	for _, s := range standards {
		c := s.Coverage()
		if c.Units > 20 { // the others are there to refer to, or have a row that says less
			require.Regexp(t, fmt.Sprintf(`\| %d \| \d+ \| %d \|`, c.Requirements, c.Units), words, s.ID)
		}
		if s.ID == "etsi-en-303-645" {
			require.Contains(t, words, fmt.Sprintf("%d of EN 303 645's ask what the papers say, %d want somebody to try by hand, %d a check and a person", c.Document, c.Attestation, c.Both))
		}
	}
}

// TestFlagsSayTheirType wants no flag whose description has words in backquotes: help shows them as its type.
func TestFlagsSayTheirType(t *testing.T) {
	words := regexp.MustCompile(`(?m)^ +(-\w, )?--\S+ \S+ \S+( \S+)* {3}`)
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		require.NotRegexp(t, words, cmd.LocalFlags().FlagUsages(), cmd.CommandPath())
		for _, c := range cmd.Commands() {
			look(c)
		}
	}
	look(command())
}

// shellWords splits a line where a shell would: at spaces that stand in no quotes.
func shellWords(line string) []string {
	quoted := false
	words := strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, `"`, "")
	}
	return words
}

// TestReadmeFirstDevice loads the three files of the README's first real device.
func TestReadmeFirstDevice(t *testing.T) {
	t.Setenv("GATE_1_PASSWORD", "one of a kind")
	t.Setenv("GATE_2_PASSWORD", "another of a kind")
	dir := t.TempDir()
	name := regexp.MustCompile(`^# (\S+\.yaml)\n`)
	for _, block := range blocks(t, "yaml") {
		if m := name.FindStringSubmatch(block); m != nil {
			require.NoError(t, os.WriteFile(filepath.Join(dir, m[1]), []byte(block), 0o600))
		}
	}
	d, err := dossier.Read(filepath.Join(dir, "gate.yaml"))
	require.NoError(t, err)
	set, err := loadProfile(filepath.Join(dir, "logins.yaml"), catalog.All())
	require.NoError(t, err)
	file, err := bench.ReadFile(filepath.Join(dir, "bench.yaml"))
	require.NoError(t, err)
	gateway, err := bench.ReadFile(filepath.Join(dir, "gateway.yaml"))
	require.NoError(t, err)
	require.Equal(t, bench.ModeGateway, gateway.Mode)
	frames, err := bench.ReadFile(filepath.Join(dir, "frames.yaml"))
	require.NoError(t, err)
	require.Equal(t, 256, *frames.Capture.Snap)
	full, err := bench.ReadFile(filepath.Join(dir, "full.yaml"))
	require.NoError(t, err)
	require.Contains(t, full.Units, "unit-2")
	in := &inputs{dossier: d, set: set, kinds: catalog.All(), file: file}
	has, missing := bench.Offers(bench.ModeAttached, file, d)
	p, err := in.makePlan(has, missing)
	require.NoError(t, err)
	asked := 0
	for _, s := range p.Steps {
		if s.NotAsked == "" {
			asked++
		}
	}
	require.Equal(t, 3, asked, "the two questions about MQTT logins, and the scan for logins that nobody declared")

	house, err := loadProfile(filepath.Join(dir, "house.yaml"), catalog.All())
	require.NoError(t, err)
	require.NotEmpty(t, house.Omitted.Exclusions)
}
