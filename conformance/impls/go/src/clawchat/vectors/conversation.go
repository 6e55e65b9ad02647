package vectors

import (
	"github.com/flynn/noise"

	"clawchat/msg"
	"clawchat/transport"
)

// side takes the Data frames that arrive at one end, each once and in order.
type side struct {
	taken    uint64
	partial  map[uint32][]byte
	messages []object
}

// conversation opens the records of both sides and delivers what arrives.
func conversation(in object) answer {
	directions := map[string]*transport.Direction{}
	for name := range in.object("paths") {
		keys := in.object("paths").object(name)
		directions[name+"client"] = keyed32(keys.bytes("initiator_key"))
		directions[name+"host"] = keyed32(keys.bytes("responder_key"))
	}
	sides := map[string]*side{"client": newSide(), "host": newSide()}
	other := map[string]string{"client": "host", "host": "client"}
	var out []object
	var released []byte
	for _, v := range in.list("records") {
		r := asObject(v)
		frames, err := directions[r.text("path")+r.text("from")].Open(r.bytes("record"))
		if err != nil {
			return answer{err: err}
		}
		var fields []object
		for _, b := range frames {
			f, err := transport.Judge(b)
			if err != nil {
				return answer{err: err}
			}
			fields = append(fields, frameFields(f))
			if r.yes("arrives") && f.Body == msg.BodyData {
				released = append(released, sides[other[r.text("from")]].take(f.Data)...)
			}
		}
		out = append(out, object{"frames": fields})
	}
	return answer{
		output: object{
			"records": out, "host_delivers": sides["host"].messages, "client_delivers": sides["client"].messages,
		},
		released: released,
	}
}

func keyed32(b []byte) *transport.Direction {
	var key [32]byte
	copy(key[:], b)
	return &transport.Direction{Cipher: noise.CipherAESGCM.Cipher(key)}
}

func newSide() *side { return &side{partial: map[uint32][]byte{}, messages: []object{}} }

func (s *side) take(d msg.Data) []byte {
	if d.Sequence != s.taken+1 {
		return nil
	}
	s.taken++
	s.partial[d.Stream] = append(s.partial[d.Stream], d.Payload...)
	whole := s.partial[d.Stream]
	if d.More || len(whole) == 0 {
		return nil
	}
	delete(s.partial, d.Stream)
	s.messages = append(s.messages, object{"stream": d.Stream, "message": hx(whole)})
	return whole
}
