//go:build !linux

package main

// moreCommands has none: namespaces exist on Linux only.
func moreCommands() map[string]func() { return nil }
