package client

import "slices"

// weakSuites are the suites of the IANA registry without encryption (NULL), without authentication (anon),
// with export keys, RC4, DES or 3DES (RFC 9325 section 4.1, RFC 7465). Ranges, both ends included.
var weakSuites = [][2]uint16{
	{0x0000, 0x000b},                                                                         // NULL, export, RC4, IDEA, DES, 3DES over RSA; DH with export
	{0x000c, 0x0028},                                                                         // DES, 3DES and export over DH; anon; KRB5 with DES, 3DES, RC4, export
	{0x0029, 0x002e},                                                                         // KRB5 export; NULL with PSK
	{0x0034, 0x0034}, {0x003a, 0x003b}, {0x0046, 0x0046}, {0x006c, 0x006d}, {0x0089, 0x0089}, // anon; NULL with SHA-256
	{0x008a, 0x008b}, {0x008e, 0x008f}, {0x0092, 0x0093}, // RC4 and 3DES with PSK
	{0x009b, 0x009b}, {0x00a6, 0x00a7}, {0x00b0, 0x00b1}, {0x00b4, 0x00b5}, {0x00b8, 0x00b9}, {0x00bf, 0x00bf}, {0x00c5, 0x00c5},
	{0xc001, 0xc003}, {0xc006, 0xc008}, {0xc00b, 0xc00d}, {0xc010, 0xc012}, // NULL, RC4, 3DES with ECDH
	{0xc015, 0xc019},                                     // ECDH anon
	{0xc01a, 0xc01c},                                     // SRP with 3DES
	{0xc033, 0xc034}, {0xc039, 0xc03b}, {0xc046, 0xc047}, // ECDHE_PSK with RC4, 3DES, NULL; anon ARIA
	{0xc05a, 0xc05b}, {0xc084, 0xc085}, {0xc0b4, 0xc0b5}, // anon; TLS 1.3 without encryption (RFC 9150)
}

func weak(id uint16) bool {
	// TLS_RSA_WITH_IDEA and the reserved numbers in the ranges are no loss; RFC 5746's signal 0x00ff is in none.
	return slices.ContainsFunc(weakSuites, func(r [2]uint16) bool { return r[0] <= id && id <= r[1] })
}
