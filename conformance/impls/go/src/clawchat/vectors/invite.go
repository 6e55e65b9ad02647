package vectors

import (
	"clawchat/code"
	"clawchat/invite"
	"clawchat/kdf"
	"clawchat/msg"
)

func inviteFamily(v vector) answer {
	in := v.Input
	switch in.text("what") {
	case "write":
		return inviteWritten(in.bytes("invite"))
	case "read":
		inv, _, err := invite.Read(in.text("text"))
		return answer{output: object{"fields": inviteFields(inv)}, err: err}
	case "read bundle":
		var b []byte
		if in.has("bundle") {
			b = in.bytes("bundle")
		} else {
			made := msg.InviteBundle{Invite: in.bytes("invite"), ConnectionFile: in.bytes("connection_file")}
			b = append([]byte("ClawChat bundle 1\n"), made.Bytes()...)
		}
		inv, _, file, err := invite.ReadBundle(b)
		out := object{"fields": inviteFields(inv)}
		if v.Output.has("connection_file") {
			out["connection_file"] = hx(file)
		}
		return answer{output: out, err: err}
	case "expiry":
		inv, _, err := invite.Read(in.text("text"))
		if err == nil && invite.Expired(inv, in.number("now_ms")) {
			err = code.New(code.InviteExpired, "the invite has expired")
		}
		return answer{output: object{"expired": false}, err: err}
	}
	panic("not known")
}

func inviteWritten(encoded []byte) answer {
	text := invite.Write(encoded)
	inv, _, err := invite.Read(text)
	keys, static := kdf.InviteKeys(inv.Secret), kdf.InviteStatic(inv.Secret)
	return answer{err: err, output: object{
		"text": text, "fields": inviteFields(inv),
		"static_secret": hx(static), "static_public": hx(kdf.X25519Public(static)),
		"psk": hx(keys.PSK), "gate_key": hx(keys.Gate), "file_key": hx(keys.File),
	}}
}

func inviteFields(v msg.Invite) object {
	return object{
		"secret": hx(v.Secret), "identity": hx(v.Identity), "server_id": hx(v.ServerID),
		"expires_at_s": v.ExpiresAtS, "stores": stores(v.Stores),
	}
}

func stores(list []msg.Store) []object {
	out := []object{}
	for _, s := range list {
		o := object{}
		switch s.Kind {
		case msg.KindLocal:
			o["local"] = object{"path": s.URL}
		case msg.KindHTTPS:
			o["https"] = object{"read_url": s.URL, "spki_pin": hx(s.Pin)}
		case msg.KindMega:
			o["mega"] = object{"folder_link": s.URL}
		}
		out = append(out, o)
	}
	return out
}
