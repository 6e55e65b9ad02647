package vectors

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"

	"clawchat/kdf"
	"clawchat/msg"
	"clawchat/pb"
)

// sealed makes a connection file as a host does (chapter 3.1), with the randomness that
// the vector gives.
func sealed(v vector) answer {
	in := v.Input
	payload, salt, contentKey := in.bytes("payload"), in.bytes("salt"), in.bytes("content_key")
	signature := ed25519.Sign(ed25519.NewKeyFromSeed(in.bytes("identity_secret")), kdf.SignedRecord(payload))
	envelope := msg.Envelope{Payload: payload, Signature: signature}
	for _, v := range in.list("successions") {
		s := asObject(v)
		envelope.Successions = append(envelope.Successions, msg.Succession{
			Statement: s.bytes("statement"), OldSignature: s.bytes("old_signature"), NewSignature: s.bytes("new_signature"),
		})
	}
	encoded := envelope.Bytes()
	plain := append(kdf.U32(uint32(len(encoded))), encoded...)
	plain = append(plain, make([]byte, -len(plain)&511)...)

	keys := fileKeys(in["file_keys"])
	count, padding, size := filling(len(plain)+16, len(keys))
	stanzas := stream(in.text("filling"), 56*count)
	var own []byte
	for i, key := range keys {
		tag := kdf.StanzaTag(key, salt)
		stanza := append(append([]byte{}, tag...), gcm(kdf.StanzaKey(key, salt)).Seal(nil, make([]byte, 12), contentKey, tag)...)
		at := i
		if places := in.list("places"); places != nil {
			at = int(number(places[i]))
		}
		copy(stanzas[56*at:], stanza)
		own = append(own, stanza...)
	}
	header := header(stanzas, padding, salt)
	body := gcm(kdf.SealKey(contentKey, salt)).Seal(nil, make([]byte, 12), plain, header)
	var w pb.Writer
	file := w.Message(1, header).Message(2, body).Done()
	if len(file) != size {
		panic("the file has not the length of its class")
	}
	out := object{
		"signature": hx(signature), "size": size, "stanzas": count,
		"own_stanzas_sha256": sum(own), "sealed_sha256": sum(body), "file_sha256": sum(file),
	}
	if padding > 0 {
		out["padding"] = padding - 2 // what the field itself takes
	}
	if v.Output.has("file") {
		out["file"] = hx(file)
	}
	return answer{output: out}
}

// filling is CF-002: how many stanzas and how many bytes of a padding field, key and
// length included, make the file exactly as long as the smallest class that holds it.
func filling(body, recipients int) (count, missing, size int) {
	for _, size := range []int{4096, 16384, 65536, 262144} {
		length := func(n int) int { return fileBytes(body, n) }
		n := 0
		for length(n+1) <= size {
			n++
		}
		missing := size - length(n)
		if missing == 1 {
			n--
			missing = size - length(n)
		}
		if n >= recipients && n >= 1 {
			return n, missing, size
		}
	}
	panic("too much for any class")
}

func fileBytes(body, stanzas int) int {
	h := len(header(make([]byte, 56*stanzas), 0, make([]byte, 32)))
	return part(h) + part(body)
}

func part(n int) int { return 1 + len(pb.AppendUvarint(nil, uint64(n))) + n }

// header writes a ConnectionFileHeader whose padding field takes so many bytes in all.
func header(stanzas []byte, padding int, salt []byte) []byte {
	var w pb.Writer
	w.Uint(1, 1).Bytes(2, salt).Message(3, stanzas)
	if padding > 0 {
		w.Message(4, make([]byte, padding-2))
	}
	return w.Done()
}

func fileKeys(v interface{}) [][]byte {
	if o := asObject(v); o != nil {
		var keys [][]byte
		for i := 0; i < int(o.number("count")); i++ {
			keys = append(keys, stream(fmt.Sprintf("%s%d", o.text("stream_each"), i), 32))
		}
		return keys
	}
	return all(v.([]interface{}))
}

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	g, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return g
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hx(s[:])
}
