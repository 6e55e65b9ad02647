package vectors

import (
	"clawchat/code"
	"clawchat/msg"
	"clawchat/state"
	"clawchat/transport"
	"clawchat/words"
)

// joiner is the client of the enrolment vectors: what it holds, and what it does in a
// step.
type joiner struct {
	data *state.Data
	does []string
}

func enrolment(v vector) answer {
	if v.Input.text("what") == "host" {
		return answer{err: errSkipped}
	}
	j := &joiner{data: keyed(v.Input)}
	var steps []object
	var last error
	for _, s := range v.Input.list("steps") {
		step := asObject(s)
		j.does = []string{}
		err := j.step(step)
		out := object{"state": j.data.State, "dials_as": "invite", "does": j.does}
		if err != nil {
			out["error"] = code.Of(err).String()
			last = err
		}
		if j.data.State != state.Keyed {
			out["dials_as"], out["granted"] = "device", granted(j.data)
		}
		steps = append(steps, out)
	}
	return answer{output: object{"steps": steps}, err: last}
}

// keyed is a device that holds an invite. The vectors give a record that is known from
// a bundle by its sequence and hash alone.
func keyed(in object) *state.Data {
	c := in.object("client")
	d := &state.Data{
		State: state.Keyed, StaticSecret: in.bytes("device_secret_key"),
		ServerID: c.bytes("server_id"), Identity: c.bytes("identity"),
	}
	if t := trustOf(c); t.Highest != nil {
		d.NextIdentity, d.Known = t.NextIdentityHash, t.Highest
	}
	return d
}

func (j *joiner) step(s object) error {
	if s.has("join") {
		if err := j.data.MayJoin(); err != nil {
			return err
		}
		j.data = keyed(s.object("join"))
		j.does = append(j.does, "store the new invite and device key")
		return nil
	}
	if !s.has("frame") { // a crash: all that counts is stored
		return nil
	}
	f, err := transport.Judge(s.bytes("frame"))
	if err != nil {
		return err
	}
	if s.text("path") == "device" {
		if j.data.HeardAsDevice() {
			j.does = append(j.does, "erase the invite")
		}
		return nil
	}
	switch f.Body {
	case msg.BodyEnrolled:
		before := j.data.State
		err = j.data.Reply(f.Enrolled, s.number("at_ms"))
		if j.data.State != before {
			j.does = append(j.does, "store the reply", "dial as the device")
		}
	case msg.BodyClose:
		err = code.New(code.Known(f.Close.Code), "refused")
	}
	return err
}

func granted(d *state.Data) object {
	_, keys := d.DialsAs()
	highest := d.Trust().Highest
	return object{
		"name": d.Name, "identity": hx(d.Identity), "sequence": highest.Sequence, "hash": hx(highest.Hash),
		"device_key": hx(d.DeviceKey()), "psk": hx(keys.PSK), "gate_key": hx(keys.Gate), "file_key": hx(keys.File),
		"words": words.Of(d.Identity, d.DeviceKey()),
	}
}
