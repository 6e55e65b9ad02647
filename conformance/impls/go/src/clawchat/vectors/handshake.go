package vectors

import (
	"bytes"

	"github.com/flynn/noise"

	"clawchat/code"
	"clawchat/connfile"
	"clawchat/handshake"
	"clawchat/msg"
)

func handshakeFamily(v vector) answer {
	out := object{}
	a := answer{output: out}
	if c := v.Input.object("client"); c != nil {
		a.released, a.err = clientSide(c, v.Output, out)
	}
	if h := v.Input.object("host"); h != nil && a.err == nil {
		a.err = hostSide(h, v.Output, out)
	}
	return a
}

func clientSide(c, want, out object) (payload []byte, err error) {
	record := msg.Record{}
	for _, k := range c.list("channel_keys") {
		o := asObject(k)
		record.ChannelKeys = append(record.ChannelKeys, msg.ChannelKey{PublicKey: o.bytes("public_key"), NotAfterMs: o.number("not_after_ms")})
	}
	channelKey, _ := connfile.ChannelKey(record, c.number("now_ms"))
	access := asObject(c.list("access_keys")[0])
	attempt, err := handshake.Client{
		ServerID: c.bytes("server_id"), Epoch: access.number("epoch"), AccessKey: access.bytes("key"),
		ChannelKey: channelKey, StaticSecret: c.bytes("static_secret"), PSK: c.bytes("psk"),
		GateKey: c.bytes("gate_key"), Random: bytes.NewReader(c.bytes("ephemeral_secret")),
	}.Begin()
	if err != nil {
		return nil, err
	}
	out["token"], out["message_1"] = attempt.Token, hx(attempt.Message1)
	message3, payload, keys, err := attempt.Finish(c.bytes("message_2"))
	if err != nil {
		return nil, err
	}
	out["message_3"] = hx(message3)
	results(out, want, keys.Send, keys.Receive, keys.Hash)
	return payload, nil
}

func hostSide(h, want, out object) error {
	parts, member, ok := passes(h.text("token"), h)
	if !ok {
		return code.New(code.GateRefused, "refused")
	}
	host := handshake.Host{
		ServerID: h.bytes("server_id"), Epoch: parts.Epoch, PSK: member.bytes("psk"),
		Static: member.bytes("static_public"), Random: bytes.NewReader(h.bytes("ephemeral_secret")),
		Payload: h.bytes("reply_payload"),
	}
	for _, k := range h.list("channel_keys") {
		if o := asObject(k); h.number("now_ms") <= o.number("not_after_ms") {
			host.ChannelKeys = append(host.ChannelKeys, o.bytes("secret_key"))
		}
	}
	message2, state, err := host.Answer(parts.Message1)
	if err != nil {
		return err
	}
	out["message_2"] = hx(message2)
	if want.has("member") {
		out["member"] = member.text("name")
	}
	keys, err := host.Finish(state, h.bytes("message_3"))
	if err != nil {
		return err
	}
	if member.yes("removed_before_message_3") {
		return code.New(code.HandshakeFailed, "the member is gone")
	}
	results(out, want, keys.Receive, keys.Send, keys.Hash)
	return nil
}

// results fills in the last three outputs. The library does not show transport keys:
// a key is taken as the wanted one when both seal the same.
func results(out, want object, initiator, responder *noise.CipherState, hash []byte) {
	out["handshake_hash"] = hx(hash)
	for name, state := range map[string]*noise.CipherState{"initiator_key": initiator, "responder_key": responder} {
		if !want.has(name) {
			continue
		}
		var key [32]byte
		copy(key[:], want.bytes(name))
		text := []byte("the same key seals the same")
		out[name] = "another key"
		if bytes.Equal(state.Cipher().Encrypt(nil, 7, nil, text), noise.CipherAESGCM.Cipher(key).Encrypt(nil, 7, nil, text)) {
			out[name] = hx(key[:])
		}
	}
}
