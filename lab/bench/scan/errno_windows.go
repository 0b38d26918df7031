package scan

import (
	"errors"

	"golang.org/x/sys/windows"
)

// refused tells whether the device said that nobody is there. A port that resets a connection
// before it stands says so too; Windows reports the closed port of a datagram that way.
func refused(err error) bool {
	return errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, windows.WSAECONNRESET)
}

// local tells whether the bench's own system could not do it.
func local(err error) bool {
	return errors.Is(err, windows.WSAEACCES) || errors.Is(err, windows.WSAEMFILE) ||
		errors.Is(err, windows.WSAENOBUFS) || errors.Is(err, windows.WSAEADDRNOTAVAIL)
}
