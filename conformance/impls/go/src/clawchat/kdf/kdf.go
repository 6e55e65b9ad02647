// Package kdf computes the keys, hashes and labels of chapter 4.1 (KD-001).
package kdf

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/hkdf"
)

// Label is u8(length of the rest) || "ClawChat/1 " || name.
func Label(name string) []byte {
	text := "ClawChat/1 " + name
	return append([]byte{byte(len(text))}, text...)
}

// Derive is HKDF-SHA256 with info(name, context).
func Derive(ikm, salt []byte, name string, n int, context ...[]byte) []byte {
	info := Label(name)
	for _, c := range context {
		info = append(info, byte(len(c)>>8), byte(len(c)))
		info = append(info, c...)
	}
	out := make([]byte, n)
	if _, err := io.ReadFull(hkdf.New(sha256.New, ikm, salt, info), out); err != nil {
		panic(err) // n is more than 255 blocks
	}
	return out
}

// Hash is SHA-256 of label(name) and, for each part, its length as u32be and the part.
func Hash(name string, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write(Label(name))
	for _, p := range parts {
		h.Write(U32(uint32(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}

// U32 is u32be.
func U32(v uint32) []byte {
	b := make([]byte, 4)
	binary.BigEndian.PutUint32(b, v)
	return b
}

// U64 is u64be.
func U64(v uint64) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, v)
	return b
}

// HMAC is HMAC-SHA256.
func HMAC(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// Keys are what derives from the secret of an invite or of a device.
type Keys struct {
	PSK, Gate, File []byte
}

// InviteKeys derives the keys of an invite.
func InviteKeys(secret []byte) Keys { return keys(secret, "invite") }

// DeviceKeys derives the keys of a device.
func DeviceKeys(secret []byte) Keys { return keys(secret, "device") }

func keys(secret []byte, who string) Keys {
	return Keys{
		PSK:  Derive(secret, nil, who+" psk", 32),
		Gate: Derive(secret, nil, who+" gate", 32),
		File: Derive(secret, nil, who+" file", 32),
	}
}

// InviteStatic is the X25519 private key of an invite.
func InviteStatic(secret []byte) []byte { return Derive(secret, nil, "invite static", 32) }

// X25519Public is the public key of a private one, which is clamped when used.
func X25519Public(private []byte) []byte {
	public, err := curve25519.X25519(private, curve25519.Basepoint)
	if err != nil {
		panic(err) // a private key of another length
	}
	return public
}

// ServerID names a host by its first identity key.
func ServerID(identity []byte) []byte { return Hash("server id", identity) }

// NextIdentity is the hash by which a record names the following identity key.
func NextIdentity(identity []byte) []byte { return Hash("next identity", identity) }

// RecordHash is the hash of a record's payload.
func RecordHash(payload []byte) []byte { return Hash("record", payload) }

// ContentHash is the hash of the exact bytes of a ChatContent.
func ContentHash(content []byte) []byte { return Hash("content", content) }

// DeviceID names a device.
func DeviceID(deviceKey []byte) []byte { return Hash("device id", deviceKey)[:16] }

// InviteChecksum ends the text of an invite.
func InviteChecksum(invite []byte) []byte { return Hash("invite checksum", invite)[:4] }

// Words are the 8 bytes that two people compare.
func Words(identity, deviceKey []byte) []byte { return Hash("words", identity, deviceKey)[:8] }

// StanzaTag finds a recipient's stanza.
func StanzaTag(fileKey, salt []byte) []byte { return Derive(fileKey, salt, "file tag", 8) }

// StanzaKey wraps the content key.
func StanzaKey(fileKey, salt []byte) []byte { return Derive(fileKey, salt, "file wrap", 32) }

// SealKey seals the envelope.
func SealKey(contentKey, salt []byte) []byte { return Derive(contentKey, salt, "file seal", 32) }

// GateHandle names a device to the gate within one epoch.
func GateHandle(gateKey []byte, epoch uint64) []byte {
	return HMAC(gateKey, Label("gate handle"), U64(epoch))[:16]
}

// GateMACKey is the key of the token's MAC.
func GateMACKey(gateKey, accessKey []byte, epoch uint64) []byte {
	return Derive(gateKey, accessKey, "gate mac", 32, U64(epoch))
}

// Prologue of the Noise handshake; version and suite are 1 in this protocol.
func Prologue(version, suite uint16, serverID []byte, epoch uint64) []byte {
	b := append(Label("prologue"), byte(version>>8), byte(version), byte(suite>>8), byte(suite))
	b = append(b, serverID...)
	return append(b, U64(epoch)...)
}

// SignedRecord is what the signature of a record covers (CF-007).
func SignedRecord(payload []byte) []byte {
	return append(Label("connection record"), payload...)
}

// SignedSuccession is what both signatures of a succession cover.
func SignedSuccession(statement []byte) []byte {
	return append(Label("succession"), statement...)
}
