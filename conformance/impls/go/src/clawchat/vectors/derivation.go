package vectors

import (
	"crypto/ed25519"

	"clawchat/kdf"
	"clawchat/words"
)

func derivation(v vector) answer {
	return answer{output: object{"value": hx(derived(v.Input))}}
}

func derived(in object) []byte {
	switch in.text("what") {
	case "label":
		return kdf.Label(in.text("name"))
	case "derive":
		return kdf.Derive(in.bytes("ikm"), in.bytes("salt"), in.text("name"), int(in.number("length")), all(in.list("context"))...)
	case "hash":
		return kdf.Hash(in.text("name"), all(in.list("parts"))...)
	case "server id":
		return kdf.ServerID(in.bytes("identity"))
	case "next identity":
		return kdf.NextIdentity(in.bytes("identity"))
	case "record hash":
		return kdf.RecordHash(in.bytes("payload"))
	case "device id":
		return kdf.DeviceID(in.bytes("device_key"))
	case "words hash":
		return kdf.Words(in.bytes("identity"), in.bytes("device_key"))
	case "content hash":
		return kdf.ContentHash(in.bytes("content"))
	case "invite checksum":
		return kdf.InviteChecksum(in.bytes("invite"))
	case "invite static":
		return kdf.InviteStatic(in.bytes("secret"))
	case "invite psk":
		return kdf.InviteKeys(in.bytes("secret")).PSK
	case "invite gate":
		return kdf.InviteKeys(in.bytes("secret")).Gate
	case "invite file":
		return kdf.InviteKeys(in.bytes("secret")).File
	case "device psk":
		return kdf.DeviceKeys(in.bytes("secret")).PSK
	case "device gate":
		return kdf.DeviceKeys(in.bytes("secret")).Gate
	case "device file":
		return kdf.DeviceKeys(in.bytes("secret")).File
	case "x25519 public":
		return kdf.X25519Public(in.bytes("secret_key"))
	case "stanza tag":
		return kdf.StanzaTag(in.bytes("file_key"), in.bytes("salt"))
	case "stanza key":
		return kdf.StanzaKey(in.bytes("file_key"), in.bytes("salt"))
	case "seal key":
		return kdf.SealKey(in.bytes("content_key"), in.bytes("salt"))
	case "gate handle":
		return kdf.GateHandle(in.bytes("gate_key"), in.number("epoch"))
	case "gate mac key":
		return kdf.GateMACKey(in.bytes("gate_key"), in.bytes("access_key"), in.number("epoch"))
	case "signed record":
		return ed25519.Sign(ed25519.NewKeyFromSeed(in.bytes("identity_secret")), kdf.SignedRecord(in.bytes("bytes")))
	case "signed succession":
		return ed25519.Sign(ed25519.NewKeyFromSeed(in.bytes("identity_secret")), kdf.SignedSuccession(in.bytes("bytes")))
	case "prologue":
		return kdf.Prologue(uint16(in.number("protocol_version")), uint16(in.number("suite")), in.bytes("server_id"), in.number("epoch"))
	}
	panic("not known: " + in.text("what"))
}

func all(list []interface{}) [][]byte {
	var out [][]byte
	for _, v := range list {
		out = append(out, asBytes(v))
	}
	return out
}

func wordsFamily(v vector) answer {
	if v.Input.has("bytes") {
		return answer{output: object{"words": words.Write(v.Input.bytes("bytes"))}}
	}
	return answer{output: object{"words": words.Of(v.Input.bytes("identity"), v.Input.bytes("device_key"))}}
}
