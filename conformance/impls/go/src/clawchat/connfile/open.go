// Package connfile reads connection files and the envelopes in them (chapter 3).
package connfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"clawchat/code"
	"clawchat/kdf"
	"clawchat/msg"
	"clawchat/pb"
)

const (
	// FileBytesMax is FILE_BYTES_MAX.
	FileBytesMax     = 262144
	stanzaBytes      = 56
	stanzasMax       = 4670
	headerPaddingMax = 127
	plaintextStep    = 512
	envelopeMax      = 65535
)

var zeroNonce = make([]byte, 12)

// Open goes through steps 1 to 5 of 3.4 and returns the bytes of the envelope (CF-030).
func Open(file, fileKey []byte) ([]byte, error) {
	if len(file) > FileBytesMax { // CF-031
		return nil, code.New(code.FileTooLarge, "%d bytes", len(file))
	}
	headerBytes, sealed, ok := outer(file)
	if !ok {
		return nil, code.New(code.FileMalformed, "no connection file")
	}
	header, err := msg.ReadHeader(headerBytes)
	if err != nil {
		return nil, code.New(code.FileMalformed, "the header does not parse")
	}
	if header.Version != 1 {
		return nil, code.New(code.VersionUnsupported, "connection file of version %d", header.Version)
	}
	n := len(header.Stanzas) / stanzaBytes
	if len(header.Salt) != 32 || len(header.Stanzas)%stanzaBytes != 0 || n < 1 || n > stanzasMax ||
		len(header.Padding) > headerPaddingMax || !allZero(header.Padding) {
		return nil, code.New(code.FileMalformed, "the header breaks a rule")
	}
	contentKey, err := unwrap(header, fileKey)
	if err != nil {
		return nil, err
	}
	plain, err := aead(kdf.SealKey(contentKey, header.Salt)).Open(nil, zeroNonce, sealed, headerBytes)
	if err != nil {
		return nil, code.New(code.FileAltered, "the sealed part does not open")
	}
	return unpad(plain)
}

// outer takes the two parts of a file apart (CF-001).
func outer(file []byte) (header, sealed []byte, ok bool) {
	header, rest, ok := part(file, 0x0a)
	if !ok {
		return nil, nil, false
	}
	sealed, rest, ok = part(rest, 0x12)
	return header, sealed, ok && len(rest) == 0
}

func part(b []byte, key byte) (content, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != key {
		return nil, nil, false
	}
	length, n := pb.Uvarint(b[1:])
	if n == 0 || n > 1 && b[n] == 0 || length > uint64(len(b)-1-n) {
		return nil, nil, false
	}
	at := 1 + n
	return b[at : at+int(length)], b[at+int(length):], true
}

// unwrap tries each stanza that bears the reader's tag (step 4).
func unwrap(header msg.Header, fileKey []byte) ([]byte, error) {
	tag := kdf.StanzaTag(fileKey, header.Salt)
	wrap := aead(kdf.StanzaKey(fileKey, header.Salt))
	err := code.New(code.NotARecipient, "the file is for others")
	for at := 0; at < len(header.Stanzas); at += stanzaBytes {
		stanza := header.Stanzas[at : at+stanzaBytes]
		if !bytes.Equal(stanza[:8], tag) {
			continue
		}
		contentKey, bad := wrap.Open(nil, zeroNonce, stanza[8:], tag)
		if bad == nil {
			return contentKey, nil
		}
		err = code.New(code.FileAltered, "a stanza does not open")
	}
	return nil, err
}

// unpad finds the envelope in the sealed part (CF-006).
func unpad(plain []byte) ([]byte, error) {
	malformed := code.New(code.FileMalformed, "the padding is wrong")
	if len(plain) < 4 || len(plain)%plaintextStep != 0 {
		return nil, malformed
	}
	length := uint64(binary.BigEndian.Uint32(plain))
	if length > uint64(len(plain)-4) || !allZero(plain[4+length:]) {
		return nil, malformed
	}
	return plain[4 : 4+length], nil
}

func aead(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a key of another length
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
