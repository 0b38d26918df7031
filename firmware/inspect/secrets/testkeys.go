package secrets

import "encoding/hex"

// testKeys are public keys whose private halves lie in public projects: whoever trusts one
// trusts everybody. SHA-256 of SubjectPublicKeyInfo, or of the PKCS#1 key where the project
// hashes that. MCUboot's are the root-*.pem of its repository (as of 2d4bacc), AOSP's those of
// build/make target/product/security (March 2025), AVB's those of external/avb test/data.
var testKeys = map[string]string{
	"e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6": "MCUboot root-ec-p256",
	"6bcd1e16d80e5fe13a5307e6f1de8344c7e50e537d9962ce35ef6db5e642fae8": "MCUboot root-ec-p384",
	"6754edab1e29affef4a05935adecbeb1a7b8b62397b31e39a61b5bfcaafd63af": "MCUboot root-ed25519-2",
	"b1d87d60173352b9a4808979790fc699fb4c4f83b49cf1970edd96ff4adc36a6": "MCUboot root-ed25519-unknown",
	"c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c": "MCUboot root-ed25519",
	"fc5701dc6135e1323847bdc40f04d2e5bee5833b23c29f93593d00018cfa9994": "MCUboot root-rsa-2048",
	"449793fb65cd7698753d5b3f35fab15f1e3a45111ff24e1d46741de5ae12d59e": "MCUboot root-rsa-3072",
	"ef57b690165cb561b5026922c00d2d6574e8b184fa7d161e076f06e06e6d35db": "AOSP testkey",
	"3d3df7dc9bf26e02d4cd76256d41d45e41a4dedebe7feb95c40e3697681be8a7": "AOSP platform",
	"091377d6fd00e4e217b750571d45cbe1a32c7fa74075138fc529fdf162b5416f": "AOSP media",
	"2b59625f19b7d0d143a69fb7a02d42b151480ddfe60b0572070ac24afca212a0": "AOSP shared",
	"7bfcc5541e9f18e3738b1d5fa0b8524d44bac99424cfdcc6594d9386d4daaf15": "AOSP networkstack",
	"d2e67bf7c0aaa67f3a4f7dc35dd2d45aa111a91e06a2cc517eaf9c249de31454": "AOSP sdk_sandbox",
	"de5b1ddc59331bbdeee26d6467dd4f9fc09719098ba7dcb6a973045781a0e36c": "AOSP bluetooth",
	"9318ca97d2c148ca94639603b68d0928068158113d23a1cfca30acc4df2cac37": "AOSP nfc",
	"5c465203f66d5e55a381455ff1ed69403623aa5fde02d6805eabecc9a3fecd75": "AVB testkey_cert_pik",
	"991259d9f9f6a9a29ba41babde3a50c50078dcafbaf57040b91989a866db8289": "AVB testkey_cert_prk",
	"bfdebdfa61ed3fd68d6ed274e162fc170af3cb3700e41d0fd71c54db1a34a7a5": "AVB testkey_cert_psk",
	"000d7b990448ba4ab1f682e4166cf342ef192e1d037686010052abf3bb093c1d": "AVB testkey_cert_puk",
	"27f501a05553b8086eaea2ddabeb46c96b3ca30cd6ceb0d4f30e5bc0c543d507": "AVB testkey_rsa2048",
	"9841073d16a7abbe21059e026da71976373d8f74fdb91cc46aa0a7d622b925b9": "AVB testkey_rsa4096",
	"8d11ff993173d66a268020ce91ea4801a90b358ddd639dfe771204330c33da01": "AVB testkey_rsa8192",
}

// avbModuli are the first 16 bytes of the moduli of AVB's test keys: in vbmeta and in boot
// loaders a key is no DER, but its modulus lies there in one piece.
var avbModuli = map[string]string{
	"c65551dd3224a2e00ebc7efdbda25380": "AVB testkey_rsa2048",
	"d804afe3d3846c7e0d893dc28cd31255": "AVB testkey_rsa4096",
	"d03dd3f9d212b260879bbf7bc2c5f4bd": "AVB testkey_rsa8192",
}

type rawKey struct{ bytes, what, name string }

// rawKeys are the forms in which a test key lies in binaries: MCUboot's key hash in an image's
// TLV or a boot loader's table, AVB's modulus.
func rawKeys() []rawKey {
	var out []rawKey
	for h, name := range testKeys {
		if b, err := hex.DecodeString(h); err == nil {
			out = append(out, rawKey{string(b), "the key hash", name})
		}
	}
	for h, name := range avbModuli {
		if b, err := hex.DecodeString(h); err == nil {
			out = append(out, rawKey{string(b), "the modulus", name})
		}
	}
	return out
}
