package wire

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
)

// grease tells the values that clients send to keep servers tolerant (RFC 8701); no fingerprint counts them.
func grease(v uint16) bool { return v&0x0f0f == 0x0a0a && v>>8 == v&0xff }

func honest(list []uint16) []uint16 {
	return slices.DeleteFunc(slices.Clone(list), grease)
}

// JA3 is the client's fingerprint after github.com/salesforce/ja3: the MD5 of version, ciphers,
// extensions, groups and point formats, in the order sent. MD5 is its name, not its protection.
func (h *ClientHello) JA3() string {
	text := strconv.AppendUint(make([]byte, 0, 512), uint64(h.Version), 10)
	for _, list := range [][]uint16{h.Ciphers, h.Extensions, h.Groups} {
		text = append(text, ',')
		first := true
		for _, v := range list {
			if grease(v) {
				continue
			}
			if !first {
				text = append(text, '-')
			}
			first = false
			text = strconv.AppendUint(text, uint64(v), 10)
		}
	}
	text = append(text, ',')
	for i, f := range h.PointFormats {
		if i > 0 {
			text = append(text, '-')
		}
		text = strconv.AppendUint(text, uint64(f), 10)
	}
	sum := md5.Sum(text)
	return hex.EncodeToString(sum[:])
}

// JA4 is the TLS client fingerprint of github.com/FoxIO-LLC/ja4, the one of its family under BSD-3.
func (h *ClientHello) JA4() string {
	ciphers, extensions := honest(h.Ciphers), honest(h.Extensions)
	protocol, name := "t", "i"
	if h.DTLS {
		protocol = "d"
	}
	if slices.Contains(extensions, extServerName) {
		name = "d"
	}
	head := fmt.Sprintf("%s%s%s%02d%02d%s", protocol, h.ja4Version(), name, min(99, len(ciphers)), min(99, len(extensions)), h.ja4ALPN())
	named := slices.DeleteFunc(slices.Clone(extensions), func(v uint16) bool { return v == extServerName || v == extALPN })
	slices.Sort(ciphers)
	slices.Sort(named)
	list := hexes(named)
	if signatures := honest(h.Signatures); len(signatures) > 0 {
		list += "_" + hexes(signatures)
	}
	if len(named) == 0 {
		list = ""
	}
	return head + "_" + short(hexes(ciphers)) + "_" + short(list)
}

func (h *ClientHello) ja4Version() string {
	version := h.Version
	if offered := honest(h.Versions); len(offered) > 0 {
		version = slices.Max(offered)
		if h.DTLS {
			version = slices.Min(offered) // its versions are written as complements
		}
	}
	switch version {
	case 0x0304:
		return "13"
	case 0x0303:
		return "12"
	case 0x0302:
		return "11"
	case 0x0301:
		return "10"
	case 0x0300:
		return "s3"
	case 0x0002:
		return "s2"
	case 0xfeff:
		return "d1"
	case 0xfefd:
		return "d2"
	case 0xfefc:
		return "d3"
	}
	return "00"
}

// ja4ALPN is the first and the last character of the first protocol offered.
func (h *ClientHello) ja4ALPN() string {
	if len(h.ALPN) == 0 || h.ALPN[0] == "" {
		return "00"
	}
	first, last := h.ALPN[0][0], h.ALPN[0][len(h.ALPN[0])-1]
	plain := func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
	if plain(first) && plain(last) {
		return string([]byte{first, last})
	}
	text := hex.EncodeToString([]byte(h.ALPN[0]))
	return text[:1] + text[len(text)-1:]
}

func hexes(list []uint16) string {
	text := make([]byte, 0, 5*len(list))
	for i, v := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = hex.AppendEncode(text, []byte{byte(v >> 8), byte(v)})
	}
	return string(text)
}

func short(text string) string {
	if text == "" {
		return "000000000000"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}
