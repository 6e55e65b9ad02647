package connfile

import (
	"crypto/ed25519"
	"encoding/hex"
)

// verify checks an Ed25519 signature as strictly as CF-008 wants it. The library refuses
// an S that is not below the group order, and an R that is not the canonical encoding of
// the result of the equation without the cofactor; the rest is point's.
func verify(key, signed, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize &&
		point(key) && point(signature[:32]) && ed25519.Verify(key, signed, signature)
}

// smallOrder are the y coordinates of the points of order 1, 2, 4 and 8, least
// significant byte first. Those of order 8 share two coordinates.
var smallOrder = [][32]byte{
	y("0100000000000000000000000000000000000000000000000000000000000000"),
	y("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	y("0000000000000000000000000000000000000000000000000000000000000000"),
	y("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
	y("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
}

func y(text string) (b [32]byte) {
	if _, err := hex.Decode(b[:], []byte(text)); err != nil {
		panic(err)
	}
	return b
}

// point says whether an encoded point has a coordinate below 2^255 - 19 and is not of
// small order. The sign does not matter for either: a point without a sign to choose is
// of small order.
func point(encoded []byte) bool {
	var b [32]byte
	copy(b[:], encoded)
	b[31] &= 0x7f
	for _, small := range smallOrder {
		if b == small {
			return false
		}
	}
	return below(b)
}

// below compares with 2^255 - 19, which is ed ff .. ff 7f.
func below(b [32]byte) bool {
	if b[31] != 0x7f || b[0] < 0xed {
		return true
	}
	for _, v := range b[1:31] {
		if v != 0xff {
			return true
		}
	}
	return false
}
