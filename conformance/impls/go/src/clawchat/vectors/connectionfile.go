package vectors

import (
	"clawchat/connfile"
	"clawchat/msg"
	"clawchat/pb"
)

func connectionFile(v vector) answer {
	in := v.Input
	if in.text("what") == "seal" {
		return sealed(v)
	}
	c := in.object("client")
	trust := trustOf(c)
	var accepted *connfile.Accepted
	var err error
	if in.text("what") == "read file" {
		accepted, err = connfile.Read(fileOf(in["file"], v.file), c.bytes("file_key"), trust, in.number("now_ms"))
	} else {
		accepted, err = connfile.ReadEnvelope(in.bytes("envelope"), trust, in.number("now_ms"))
	}
	if err != nil {
		return answer{err: err}
	}
	return answer{
		output: object{
			"record": recordFields(accepted.Record), "hash": hx(accepted.Hash),
			"identity": hx(accepted.Trust.Identity), "followed": accepted.Followed,
		},
		released: accepted.Payload,
		err:      accepted.ClockSuspect,
	}
}

func trustOf(c object) connfile.Trust {
	trust := connfile.Trust{ServerID: c.bytes("server_id"), Identity: c.bytes("identity")}
	if c.has("next_identity_hash") {
		trust.NextIdentityHash = c.bytes("next_identity_hash")
	}
	if highest := c.object("highest"); highest != nil {
		trust.Highest = &connfile.Seen{Sequence: highest.number("sequence"), Hash: highest.bytes("hash")}
	}
	return trust
}

// fileOf puts a file together: bytes, a stream, parts, or edits of another vector's.
func fileOf(v interface{}, file *vectorFile) []byte {
	o := asObject(v)
	switch {
	case o == nil || o.has("stream"):
		return asBytes(v)
	case o.has("base"):
		b := fileOf(file.byID[o.text("base")].Input["file"], file)
		for _, e := range o.list("edits") {
			b = edited(b, asObject(e))
		}
		return b
	}
	var header, out pb.Writer
	header.Uint(1, o.number("version")).Bytes(2, o.bytes("salt")).Bytes(3, stanzasOf(o.object("stanzas")))
	if o.has("padding") {
		header.Message(4, make([]byte, o.number("padding")))
	}
	return out.Message(1, header.Done()).Message(2, o.bytes("sealed")).Done()
}

func stanzasOf(o object) []byte {
	b := stream(o.text("filling"), 56*int(o.number("count")))
	for _, own := range o.list("own") {
		s := asObject(own)
		copy(b[56*s.number("at"):], s.bytes("stanza"))
	}
	return b
}

func edited(b []byte, e object) []byte {
	b = append([]byte{}, b...)
	switch {
	case e.has("cut"):
		return b[:e.number("cut")]
	case e.has("append"):
		return append(b, e.bytes("append")...)
	case e.has("flip"):
		b[e.number("at")] ^= 1 << e.number("flip")
		return b
	}
	at, end := e.number("at"), e.number("at")
	if e.has("remove") {
		end += e.number("remove")
	}
	var insert []byte
	if e.has("insert") {
		insert = e.bytes("insert")
	}
	return append(append(append([]byte{}, b[:at]...), insert...), b[end:]...)
}

func recordFields(r msg.Record) object {
	endpoints, channelKeys, accessKeys, pins := []object{}, []object{}, []object{}, []string{}
	for _, e := range r.Endpoints {
		endpoints = append(endpoints, object{
			"host": e.Host, "port": e.Port, "not_before_ms": e.NotBeforeMs, "not_after_ms": e.NotAfterMs,
		})
	}
	for _, k := range r.ChannelKeys {
		channelKeys = append(channelKeys, object{"public_key": hx(k.PublicKey), "not_after_ms": k.NotAfterMs})
	}
	for _, k := range r.AccessKeys {
		accessKeys = append(accessKeys, object{"epoch": k.Epoch, "key": hx(k.Key)})
	}
	for _, p := range r.TLSPins {
		pins = append(pins, hx(p))
	}
	return object{
		"protocol_version": r.ProtocolVersion, "server_id": hx(r.ServerID), "epoch": r.Epoch,
		"sequence": r.Sequence, "issued_at_ms": r.IssuedAtMs, "valid_until_ms": r.ValidUntilMs,
		"next_rotation_ms": r.NextRotationMs, "endpoints": endpoints, "channel_keys": channelKeys,
		"tls_pins": pins, "access_keys": accessKeys, "next_identity_hash": hx(r.NextIdentityHash),
		"suites": r.Suites, "stores": stores(r.Stores),
	}
}
