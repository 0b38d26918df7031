//go:build !linux

package bench

import (
	"context"
	"errors"
	"runtime"
)

// Enter says that this system has no private network namespaces.
func Enter(context.Context, []string, []string) (int, error) {
	return 0, forbidden("namespaces", errors.New("this is "+runtime.GOOS))
}

// Preflight says the same.
func Preflight(context.Context) error {
	return forbidden("namespaces", errors.New("this is "+runtime.GOOS))
}

// Trial is never one here.
func Trial(context.Context) (int, bool) { return 0, false }

func remedy(string, error) string {
	return "run on Linux, for example in a virtual machine; the reduced bench works here"
}
