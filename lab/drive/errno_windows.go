package drive

import (
	"errors"

	"golang.org/x/sys/windows"
)

// isReset tells whether the other side broke the connection.
func isReset(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNABORTED)
}

// isClosedPort tells whether an ICMP message said that nobody is there to read a datagram;
// Windows reports the closed port of a datagram as a reset.
func isClosedPort(err error) bool {
	return errors.Is(err, windows.WSAECONNRESET) || errors.Is(err, windows.WSAECONNREFUSED) ||
		errors.Is(err, windows.WSAEHOSTUNREACH) || errors.Is(err, windows.WSAENETUNREACH)
}

// isLocal tells whether the bench's own system denied the socket.
func isLocal(err error) bool {
	return errors.Is(err, windows.WSAEACCES) || errors.Is(err, windows.WSAEMFILE) || errors.Is(err, windows.WSAENOBUFS)
}
