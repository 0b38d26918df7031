package discover

import "strings"

// spoken is a protocol in the words of a dossier: what was recognised, what it carries inside of TLS where the
// bench asked, and the port where neither tells. "" where nothing is known.
func spoken(protocol, inside string, port int) string {
	protocol = strings.ToLower(protocol)
	switch protocol {
	case "tls":
		switch inside {
		case "http", "mqtt":
			return inside + "s"
		}
		return secure(port)
	case "dtls":
		if port == 5684 {
			return "coaps"
		}
		return "dtls"
	case "tcp", "udp", "unknown", "":
		return ""
	case "text over tcp", "text over udp":
		return ""
	}
	return strings.ReplaceAll(protocol, " ", "-")
}

// secure guesses what TLS carries by the port.
func secure(port int) string {
	switch port {
	case 443, 8443:
		return "https"
	case 8883, 8884:
		return "mqtts"
	}
	return "tls"
}

// usual is what mostly stands at a port; nothing was recognised there.
func usual(protocol string, port int) string {
	if protocol == "udp" {
		switch port {
		case 123:
			return "ntp"
		case 5683:
			return "coap"
		case 5684:
			return "coaps"
		}
		return ""
	}
	switch port {
	case 80:
		return "http"
	case 1883:
		return "mqtt"
	case 443, 8443, 8883:
		return secure(port)
	}
	return ""
}

// short is an interface's short name as logins and operations have it: the application without its TLS.
func short(application string) string {
	switch application {
	case "https", "mqtts", "coaps":
		return strings.TrimSuffix(application, "s")
	}
	return application
}
