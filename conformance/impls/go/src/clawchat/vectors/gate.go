package vectors

import (
	"clawchat/code"
	"clawchat/gate"
)

func gateFamily(v vector) answer {
	in := v.Input
	if in.text("what") == "make" {
		token := gate.Token(in.bytes("gate_key"), in.bytes("access_key"), in.number("epoch"), in.bytes("message_1"))
		return answer{output: object{
			"token": token, "header": "Sec-WebSocket-Protocol: clawchat.v1, " + token,
		}}
	}
	seen := map[string]bool{}
	for _, each := range in.list("before") {
		token := asObject(each).text("token")
		if _, _, ok := passes(token, v.file.Shared); ok {
			seen[token] = true
		}
	}
	parts, member, ok := passes(in.text("token"), v.file.Shared)
	if !ok || seen[in.text("token")] {
		return answer{err: code.New(code.GateRefused, "refused")}
	}
	return answer{output: object{
		"member": member.text("name"), "epoch": parts.Epoch, "message_1": hx(parts.Message1),
	}}
}

// passes is the gate of a host that knows these access keys and members.
func passes(token string, host object) (gate.Parts, object, bool) {
	parts, ok := gate.Parse(token)
	if !ok {
		return parts, nil, false
	}
	for _, k := range host.list("access_keys") {
		key := asObject(k)
		if key.number("epoch") != parts.Epoch {
			continue
		}
		for _, m := range host.list("members") {
			if member := asObject(m); parts.Made(member.bytes("gate_key"), key.bytes("key")) {
				return parts, member, true
			}
		}
	}
	return parts, nil, false
}
