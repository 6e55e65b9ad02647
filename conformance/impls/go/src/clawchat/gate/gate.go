// Package gate makes the token of the upgrade request (chapter 4.3).
package gate

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"

	"clawchat/kdf"
)

const (
	// MessageBytes is the length of Noise message 1.
	MessageBytes = 48
	tokenBytes   = 8 + 16 + MessageBytes + 16
	tokenLetters = 118
)

var encoding = base64.RawURLEncoding.Strict()

// Token is u64be(epoch) || handle || message 1 || MAC as base64url (GT-001).
func Token(gateKey, accessKey []byte, epoch uint64, message1 []byte) string {
	b := append(kdf.U64(epoch), kdf.GateHandle(gateKey, epoch)...)
	b = append(b, message1...)
	return encoding.EncodeToString(append(b, mac(gateKey, accessKey, epoch, b)...))
}

func mac(gateKey, accessKey []byte, epoch uint64, b []byte) []byte {
	return kdf.HMAC(kdf.GateMACKey(gateKey, accessKey, epoch), b)[:16]
}

// Parts are what a token says. A host reads them; here the vectors do.
type Parts struct {
	Epoch    uint64
	Handle   []byte
	Message1 []byte
	signed   []byte
	mac      []byte
}

// Parse takes a token apart (the form in GT-002).
func Parse(token string) (Parts, bool) {
	if len(token) != tokenLetters {
		return Parts{}, false
	}
	b, err := encoding.DecodeString(token)
	if err != nil || len(b) != tokenBytes {
		return Parts{}, false
	}
	return Parts{
		Epoch: binary.BigEndian.Uint64(b), Handle: b[8:24], Message1: b[24:72], signed: b[:72], mac: b[72:],
	}, true
}

// Made says whether a gate key and an access key made the token.
func (p Parts) Made(gateKey, accessKey []byte) bool {
	return hmac.Equal(p.Handle, kdf.GateHandle(gateKey, p.Epoch)) &&
		hmac.Equal(p.mac, mac(gateKey, accessKey, p.Epoch, p.signed))
}
