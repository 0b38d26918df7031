// Package services is what a device finds in the bench's segment: an address (DHCP), names (DNS),
// the time (NTP), its cloud (an MQTT broker over TLS) and its update server (HTTPS, and CoAP
// block-wise). Each is a small server on sockets it is given. None of them trusts a client: what
// is malformed is dropped and counted, and what is kept is bounded. They never judge a device,
// never reach beyond their sockets, and never log what a client said about itself.
package services
