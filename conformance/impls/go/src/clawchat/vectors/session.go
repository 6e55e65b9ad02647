package vectors

import (
	"crypto/sha256"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/session"
)

func sessionFamily(v vector) answer {
	switch v.Input.text("what") {
	case "client":
		return clientSteps(v.Input)
	case "conversation":
		return conversation(v.Input)
	case "redial":
		return redial(v.Input)
	}
	return answer{err: errSkipped}
}

// sessionRun is the application of the client vectors: it writes down what it is given.
type sessionRun struct {
	step      *session.Stepper
	streams   map[uint32]*session.Stream
	delivers  []object
	released  []byte
	lastClose error
}

const messageMax = 1 << 20

func clientSteps(in object) answer {
	r := &sessionRun{streams: map[uint32]*session.Stream{}}
	ids := in.list("session_ids")
	r.step = session.NewStepper(session.Config{
		NewID: func() []byte {
			id := asBytes(ids[0])
			ids = ids[1:]
			return id
		},
		Accept:  r.accept,
		Stalled: !in.yes("reads"),
		Heard:   func() error { return nil },
		Opened:  func(*session.Session) {},
		Notice:  func(msg.RotationNotice, uint32, uint64) session.Plan { return session.Plan{} },
		Note:    func(string, error) {},
	})
	var steps []object
	for _, s := range in.list("steps") {
		steps = append(steps, r.one(asObject(s)))
	}
	return answer{output: object{"steps": steps}, released: r.released, err: r.lastClose}
}

func (r *sessionRun) accept(st *session.Stream, service string) (session.Reader, int) {
	r.streams[st.ID()] = st
	r.delivers = append(r.delivers, object{"stream": st.ID(), "opens": service})
	return &listener{r, st.ID()}, messageMax
}

// listener is the application's end of one stream.
type listener struct {
	run *sessionRun
	id  uint32
}

func (l *listener) Message(b []byte) {
	shown := object{"stream": l.id, "message": hx(b)}
	if len(b) > 64 {
		sum := sha256.Sum256(b)
		shown = object{"stream": l.id, "message_bytes": len(b), "message_sha256": hx(sum[:])}
	}
	l.run.delivers = append(l.run.delivers, shown)
	l.run.released = append(l.run.released, b...)
}

func (l *listener) Ended(c code.Code) {
	if c != code.SessionLost { // the session is over: `session` says so
		l.run.delivers = append(l.run.delivers, object{"stream": l.id, "ends": c.String()})
	}
}

func (r *sessionRun) one(s object) object {
	t := r.step
	r.delivers, t.Sent, t.Cut = nil, nil, nil
	t.At(s.number("at_ms"))
	switch {
	case s.has("open"):
		t.Path(s.text("open"))
	case s.has("attach"):
		t.Attach(s.text("attach"))
	case s.has("frame"):
		t.Frame(s.text("path"), s.bytes("frame"))
	case s.has("lose"):
		t.Lose(s.text("lose"))
	case s.has("write"):
		r.write(s.object("write"))
	case s.has("clock"):
		t.Clocks()
	default:
		panic("no such step")
	}
	t.Finish()
	return r.outcome()
}

func (r *sessionRun) write(w object) {
	id := uint32(w.number("stream"))
	st := r.streams[id]
	if w.has("service") {
		var err error
		if st, err = r.step.Session.Open(w.text("service"), messageMax, &listener{r, id}); err != nil || st.ID() != id {
			panic("the stream has another number")
		}
		r.streams[id] = st
	}
	if m := w.bytes("message"); len(m) > 0 {
		st.Send(m)
	}
	if w.yes("end") {
		st.End()
	}
}

// outcome lists what a step did, without Ack and Credit.
func (r *sessionRun) outcome() object {
	out := object{}
	var sends []object
	var pings []string
	var ends []uint32
	for _, s := range r.step.Sent {
		switch s.Frame.Body {
		case msg.BodyData:
			if d := s.Frame.Data; d.End != nil && *d.End != 0 { // the other side has aborted it
				ends = append(ends, d.Stream)
				continue
			}
			sends = append(sends, object{"path": s.Path, "frame": frameFields(s.Frame)})
		case msg.BodyAck, msg.BodyCredit, msg.BodyHello:
		case msg.BodyPing:
			pings = append(pings, s.Path)
		case msg.BodyClose:
			if c := code.Code(s.Frame.Close.Code); c == code.Unspecified {
				continue // the older path after a move
			} else {
				r.lastClose = code.New(c, "sent")
			}
			fallthrough
		default:
			sends = append(sends, object{"path": s.Path, "frame": frameFields(s.Frame)})
		}
	}
	if sends != nil {
		out["sends"] = sends
	}
	if ends != nil {
		out["ends_streams"] = ends
	}
	if pings != nil {
		out["pings"] = pings
	}
	if r.step.Cut != nil {
		out["cuts"] = r.step.Cut
	}
	if r.delivers != nil {
		out["delivers"] = r.delivers
	}
	out["session"] = nil
	if taken, acked, path, ok := r.step.Now(); ok {
		o := object{"taken": taken, "acknowledged": acked, "path": nil}
		if path != "" {
			o["path"] = path
		}
		out["session"] = o
	}
	return out
}
