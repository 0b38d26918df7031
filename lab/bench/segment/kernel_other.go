//go:build !linux

package segment

import "runtime"

// Kernel is the operating system's name, where nothing finer is known.
func Kernel() string { return runtime.GOOS }
