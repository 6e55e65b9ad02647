package vectors

import (
	"time"

	"clawchat/client"
	"clawchat/msg"
	"clawchat/session"
)

var noticeKinds = map[string]uint32{
	"move": msg.RotationMove, "hold": msg.RotationHold, "emergency": msg.RotationEmergency,
}

// rotation is what a client does about the moves of its host.
func rotation(v vector) answer {
	in, preset := v.Input, client.Presets["standard"]
	switch in.text("what") {
	case "move":
		n := in.object("notice")
		first, last := preset.Window(msg.RotationNotice{
			Kind:        noticeKinds[n.text("kind")],
			RotatesInMs: uint32(n.number("rotates_in_ms")),
			OldEndsInMs: uint32(n.number("old_ends_in_ms")),
		})
		return answer{output: object{"first_ms": uint64(first), "last_ms": uint64(last)}}
	case "retry":
		bound := session.BackOff(int(in.number("failures")))
		return answer{output: object{"from_ms": uint64(0), "before_ms": uint64(bound / time.Millisecond)}}
	case "start":
		first := preset.ReadsFirst(in.number("now_ms"), in.number("next_rotation_ms"))
		return answer{output: object{"reads_first": first}}
	}
	return answer{err: errSkipped}
}
