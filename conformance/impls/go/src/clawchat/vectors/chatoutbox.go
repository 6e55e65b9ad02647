package vectors

import (
	"clawchat/chat"
	"clawchat/state"
)

// chatOutbox plays a client's outbox (11.4).
func chatOutbox(in object) answer {
	given := in.object("outbox")
	box := &state.Outbox{ID: given.bytes("id"), Answered: given.number("answered"), AnsweredHash: given.bytes("answered_hash")}
	for _, post := range given.list("posts") {
		box.Posts = append(box.Posts, state.Post{Content: asBytes(post)})
	}
	s := chat.NewStepper(box, in.bytes("new_outbox_id"))
	var steps []object
	for _, given := range in.list("steps") {
		step := asObject(given)
		if step.has("reply") {
			s.Reply(int(step.number("answers")), step.bytes("reply"))
		} else {
			switch step.text("event") {
			case "opens":
				s.Opens()
			case "ends":
				s.Ends()
			case "durable":
				s.Durable()
			case "crash":
				s.Crash()
			default:
				panic("not known")
			}
		}
		steps = append(steps, shownTurn(s.Turn()))
	}
	return answer{output: object{"steps": steps}}
}

func shownTurn(t chat.Turn) object {
	out := object{}
	if len(t.Sends) > 0 {
		var sends []string
		for _, b := range t.Sends {
			sends = append(sends, hx(b))
		}
		out["sends"] = sends
	}
	if k := t.Keeps; k != nil {
		posts := []string{}
		for _, p := range k.Posts {
			posts = append(posts, hx(p.Content))
		}
		out["keeps"] = object{"id": hx(k.ID), "answered": k.Answered, "answered_hash": hx(k.AnsweredHash), "posts": posts}
	}
	var reports []object
	for _, r := range t.Reports {
		report := object{"message_id": hx(r.MessageID), "cursor": r.Cursor}
		if r.Code != 0 {
			report = object{"message_id": hx(r.MessageID), "code": r.Code.String()}
		}
		reports = append(reports, report)
	}
	if len(reports) > 0 {
		out["reports"] = reports
	}
	if t.Aborts != 0 {
		out["aborts"] = t.Aborts.String()
	}
	return out
}
