package vectors

import (
	"clawchat/code"
	"clawchat/msg"
	"clawchat/pb"
)

func chatFamily(v vector) answer {
	switch v.Input.text("what") {
	case "outbox":
		return chatOutbox(v.Input)
	case "page":
		return chatPage(v)
	case "marks":
		return chatMarks(v.Input)
	case "rewrite":
		return chatRewrite(v)
	case "display":
		return chatDisplay(v.Input)
	case "room-name": // a host judges it, with tables that Go has in no package of its own
		return answer{err: errSkipped}
	}
	b := v.Input.bytes("bytes")
	switch v.Input.text("what") {
	case "content":
		return chatContent(b)
	case "request":
		return chatRequest(b)
	case "reply":
		return chatReply(b)
	}
	panic("not known")
}

func chatContent(b []byte) answer {
	c, err := msg.ReadContent(b)
	if err != nil {
		return answer{err: err}
	}
	out := object{"message_id": hx(c.MessageID), "room": c.Room, "text": c.Text, "sent_at_ms": c.SentAtMs}
	if c.ReplyTo > 0 {
		out["reply_to"] = c.ReplyTo
	}
	if c.Edits > 0 {
		out["edits"] = c.Edits
	}
	if c.Act.Kind != 0 {
		out["act"] = chatAct(c.Act)
	}
	return answer{output: out}
}

func chatAct(a msg.Act) object {
	switch a.Kind {
	case msg.ActDelete:
		return object{"kind": "delete", "cursor": a.Cursor}
	case msg.ActCreate:
		return object{"kind": "create", "topic": a.Topic, "closed": a.Closed}
	case msg.ActJoin:
		return object{"kind": "join"}
	case msg.ActLeave:
		return object{"kind": "leave"}
	case msg.ActRemove:
		return object{"kind": "remove"}
	case msg.ActTopic:
		return object{"kind": "topic", "topic": a.Topic}
	case msg.ActGrant:
		return object{"kind": "grant", "person": hx(a.Person), "role": a.Role}
	case msg.ActKeep:
		return object{"kind": "keep", "keep_ms": a.KeepMs}
	case msg.ActRename:
		return object{"kind": "rename", "name": a.Name}
	}
	panic("not known")
}

var replyNames = map[int]string{
	0: "unknown", msg.SayOutboxState: "outbox_state", msg.SayOutboxStored: "outbox_stored",
	msg.SayPostResult: "post_result", msg.SayMessage: "message", msg.SayGap: "gap", msg.SayHistory: "history",
	msg.SayRooms: "rooms", msg.SayRefusal: "refusal", msg.SayCaughtUp: "caught_up", msg.SayWelcome: "welcome", msg.SayMark: "mark", msg.SayTyping: "typing",
	msg.SayPresence: "presence", msg.SayPeople: "people", msg.SayRoomGap: "room_gap",
	msg.SayDeviceInvite: "device_invite",
}

func chatReply(b []byte) answer {
	r, err := msg.ReadChatReply(b)
	if err != nil || !r.Valid() {
		return answer{err: code.New(code.MessageMalformed, "a reply that breaks a rule")}
	}
	return answer{output: object{"request_id": r.RequestID, "kind": replyNames[r.Body]}}
}

// asked is a request as a host reads it; 0 is a body that nobody knows.
type asked struct {
	id, limit                      uint32
	kind                           int
	room, search, name             string
	after, before, delivered, read uint64
	outbox                         []byte
	number                         uint64
	entries                        []msg.OutboxEntry
}

// Bodies of a ChatRequest that this client never asks.
const (
	askMark         = 10
	askTyping       = 11
	askPeople       = 12
	askDeviceInvite = 13
)

var requestNames = map[int]string{
	msg.AskOutboxOpen: "outbox_open", msg.AskOutboxCompare: "outbox_compare",
	msg.AskOutboxReplace: "outbox_replace", msg.AskPost: "post", msg.AskSubscribe: "subscribe",
	msg.AskHistory: "history", msg.AskRooms: "rooms", msg.AskHello: "hello", askMark: "mark",
	askTyping: "typing", askPeople: "people", askDeviceInvite: "device_invite",
}

// chatRequest applies CH-002.
func chatRequest(b []byte) answer {
	var q asked
	err := pb.Walk(b, func(f pb.Field) error {
		if f.Number == 1 {
			return f.U32(&q.id)
		}
		if f.Type != pb.Bytes || requestNames[f.Number] == "" {
			return nil
		}
		if q.kind != f.Number { // of several bodies the last one counts
			q = asked{id: q.id, kind: f.Number}
		}
		return pb.Walk(f.Bytes, q.field)
	})
	if err != nil || !q.valid() {
		return answer{err: code.New(code.MessageMalformed, "a request that breaks a rule")}
	}
	return answer{output: object{"request_id": q.id, "kind": requestNames[q.kind]}}
}

func (q *asked) field(f pb.Field) error {
	switch q.kind<<8 | f.Number {
	case msg.AskOutboxOpen<<8 | 1, msg.AskOutboxReplace<<8 | 1, msg.AskPost<<8 | 1:
		return f.Data(&q.outbox)
	case msg.AskOutboxCompare<<8 | 1:
		return q.entry(f)
	case msg.AskPost<<8 | 2:
		return f.U64(&q.number)
	case msg.AskSubscribe<<8 | 1, msg.AskHistory<<8 | 1:
		return f.U64(&q.after)
	case msg.AskHistory<<8 | 2:
		return f.U32(&q.limit)
	case msg.AskHistory<<8 | 3, askMark<<8 | 1, askTyping<<8 | 1, askPeople<<8 | 1:
		return f.Text(&q.room)
	case msg.AskHistory<<8 | 4:
		return f.U64(&q.before)
	case msg.AskHistory<<8 | 5:
		return f.Text(&q.search)
	case askMark<<8 | 2:
		return f.U64(&q.delivered)
	case askMark<<8 | 3:
		return f.U64(&q.read)
	case askDeviceInvite<<8 | 1:
		return f.Text(&q.name)
	}
	return nil
}

func (q *asked) entry(f pb.Field) error {
	if f.Type != pb.Bytes {
		return nil
	}
	var e msg.OutboxEntry
	err := pb.Walk(f.Bytes, func(in pb.Field) error {
		switch in.Number {
		case 1:
			return in.U64(&e.Number)
		case 2:
			return in.Data(&e.Hash)
		}
		return nil
	})
	q.entries = append(q.entries, e)
	return err
}

func (q *asked) valid() bool {
	const below = 1 << 53
	hasOutbox := q.kind == msg.AskOutboxOpen || q.kind == msg.AskOutboxReplace || q.kind == msg.AskPost
	if hasOutbox && len(q.outbox) != 16 || q.kind == msg.AskPost && q.number == 0 || q.number >= below {
		return false
	}
	for _, e := range q.entries {
		if e.Number == 0 || e.Number >= below || len(e.Hash) != 32 {
			return false
		}
	}
	if len(q.entries) > 1024 { // OUTBOX_SUSPECTS_MAX
		return false
	}
	hasRoom := q.kind == askMark || q.kind == askTyping || q.kind == askPeople
	if q.kind == 0 || hasRoom && q.room == "" || len(q.room) > 64 || len(q.name) > 64 || len(q.search) > 256 {
		return false
	}
	if q.after >= below || q.before >= below || q.delivered >= below || q.read >= below || q.limit > 256 {
		return false
	}
	return (q.before == 0 || q.after == 0) && (q.search == "" || q.before > 0)
}
