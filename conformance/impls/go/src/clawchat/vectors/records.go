package vectors

import (
	"crypto/sha256"

	"github.com/flynn/noise"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/transport"
)

func records(v vector) answer {
	in := v.Input
	switch in.text("what") {
	case "seal":
		d := direction(in)
		record, err := d.Seal(all(in.list("frames")))
		sum := sha256.Sum256(record)
		out := object{"bytes": len(record), "sha256": hx(sum[:])}
		if v.Output.has("record") {
			out["record"] = hx(record)
		}
		return answer{output: out, err: err}
	case "row":
		var h handled
		frames, err := transport.Split(in.bytes("plaintext"))
		return h.answer(h.all(frames, err))
	case "open":
		var h handled
		d := direction(in)
		for _, r := range in.list("records") {
			if err := h.all(d.Open(asBytes(r))); err != nil {
				return h.answer(err)
			}
		}
		return h.answer(nil)
	case "frame":
		f, err := transport.Judge(in.bytes("frame"))
		return answer{output: object{"frame": frameFields(f)}, err: err}
	}
	panic("not known")
}

func direction(in object) *transport.Direction {
	var key [32]byte
	copy(key[:], in.bytes("key"))
	return &transport.Direction{Cipher: noise.CipherAESGCM.Cipher(key), Place: in.number("place")}
}

// handled gathers the frames that a reader handles (SE-005).
type handled struct {
	frames   []object
	released []byte
}

func (h *handled) all(frames [][]byte, err error) error {
	for _, b := range frames {
		f, err := transport.Judge(b)
		if err != nil {
			return err
		}
		h.frames = append(h.frames, frameFields(f))
		h.released = append(h.released, b...)
	}
	return err
}

func (h *handled) answer(err error) answer {
	if h.frames == nil {
		h.frames = []object{}
	}
	return answer{output: object{"frames": h.frames}, released: h.released, err: err}
}

var kinds = []string{"UNSPECIFIED", "MOVE", "HOLD", "EMERGENCY", "RECORD"}

func frameFields(f msg.Frame) object {
	switch f.Body {
	case msg.BodyHello:
		return object{"hello": object{
			"protocol_version": f.Hello.ProtocolVersion, "features": append([]string{}, f.Hello.Features...),
			"software": f.Hello.Software,
		}}
	case msg.BodyAttach:
		return object{"attach": object{
			"session_id": hx(f.Attach.SessionID), "generation": f.Attach.Generation,
			"received_through": f.Attach.ReceivedThrough, "open": f.Attach.Open,
		}}
	case msg.BodyAttached:
		return object{"attached": object{"generation": f.Attached.Generation, "received_through": f.Attached.ReceivedThrough}}
	case msg.BodyData:
		return object{"data": dataFields(f.Data)}
	case msg.BodyAck:
		return object{"ack": object{"received_through": f.Ack}}
	case msg.BodyCredit:
		return object{"credit": object{"stream": f.Credit.Stream, "limit": f.Credit.Limit}}
	case msg.BodyPing:
		return object{"ping": object{"id": f.Ping}}
	case msg.BodyPong:
		return object{"pong": object{"id": f.Pong}}
	case msg.BodyRotationNotice:
		return object{"rotation_notice": object{
			"kind": kinds[f.Notice.Kind], "rotates_in_ms": f.Notice.RotatesInMs,
			"old_ends_in_ms": f.Notice.OldEndsInMs, "envelope": hx(f.Notice.Envelope),
		}}
	case msg.BodyClose:
		return object{"close": object{"code": code.Known(f.Close.Code).String(), "resumable": f.Close.Resumable}}
	case msg.BodyEnrol:
		return object{"enrol": object{"device_key": hx(f.Enrol.DeviceKey), "name": f.Enrol.Name}}
	case msg.BodyEnrolled:
		return object{"enrolled": object{
			"device_secret": hx(f.Enrolled.DeviceSecret), "envelope": hx(f.Enrolled.Envelope), "name": f.Enrolled.Name,
		}}
	}
	return object{}
}

func dataFields(d msg.Data) object {
	o := object{
		"sequence": d.Sequence, "stream": d.Stream, "payload_bytes": len(d.Payload), "more": d.More,
	}
	if len(d.Payload) <= 1024 {
		o["payload"] = hx(d.Payload)
	}
	if d.Open != nil {
		o["open"] = object{"service": *d.Open}
	}
	if d.End != nil {
		o["end"] = object{"code": code.Known(*d.End).String()}
	}
	return o
}
