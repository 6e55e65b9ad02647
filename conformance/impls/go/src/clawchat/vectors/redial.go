package vectors

import (
	"fmt"
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/pb"
	"clawchat/session"
)

const pathDeadMs = 45000

// redial plays paths that end, one behind the other, and asks each time for the wait
// before the next dial (SE-082).
func redial(in object) answer {
	t := session.NewStepper(session.Config{
		NewID:  func() []byte { return make([]byte, 16) },
		Heard:  func() error { return nil },
		Opened: func(*session.Session) {},
		Notice: func(msg.RotationNotice, uint32, uint64) session.Plan { return session.Plan{} },
		Note:   func(string, error) {},
	})
	var now uint64
	var waits []interface{}
	for i, step := range in.list("paths") {
		path, name := asObject(step), fmt.Sprint(i)
		t.At(now)
		t.Path(name)
		t.Attach(name)
		if path["attached_ms"] != nil {
			generation, _, _, _ := t.Session.State()
			var attached, frame pb.Writer
			t.Frame(name, frame.Message(3, attached.Uint(1, generation).Done()).Done())
			now += path.number("attached_ms")
			heard := now
			if path.text("ends") == "dead" {
				heard -= pathDeadMs
			}
			t.At(heard)
			t.Frame(name, msg.Frame{Body: msg.BodyPong}.Bytes())
			t.At(now)
		}
		if path.has("beside") {
			t.Path(name + " beside")
			t.Attach(name + " beside")
		}
		switch path.text("ends") {
		case "lost":
			t.Lose(name)
		case "dead":
			t.Clocks()
		case "garbled":
			t.Garble(name)
		default:
			c, ok := code.Named(path.text("code"))
			if !ok {
				panic("no such code")
			}
			t.Frame(name, msg.Frame{Body: msg.BodyClose, Close: msg.Close{Code: uint32(c), Resumable: path.yes("resumable")}}.Bytes())
		}
		t.Finish()
		if bound, dials := t.Redial(); dials {
			waits = append(waits, uint64(bound/time.Millisecond))
		} else {
			waits = append(waits, nil)
		}
	}
	return answer{output: object{"waits": waits}}
}
