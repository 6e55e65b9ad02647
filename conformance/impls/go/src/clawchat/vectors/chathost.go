package vectors

import (
	"bytes"
	"strings"

	"clawchat/chat"
	"clawchat/code"
	"clawchat/msg"
)

// What a host makes of a history (11.3, 11.5, 11.8). The client has no host: this is
// the text once more, for its vectors.

type hostRoom struct {
	name   string
	closed bool
	roles  map[string]uint64
	from   uint64 // nothing below it is kept
	gone   uint64
}

func hostRooms(in object) []hostRoom {
	var rooms []hostRoom
	for _, v := range in.list("rooms") {
		o := asObject(v)
		r := hostRoom{o.text("name"), o.yes("closed"), map[string]uint64{}, o.number("kept_from"), o.number("gone")}
		for _, w := range o.list("roles") {
			of := asObject(w)
			r.roles[of.text("person")] = of.number("role")
		}
		rooms = append(rooms, r)
	}
	return rooms
}

func storedMessages(list []interface{}) []msg.ChatMessage {
	var messages []msg.ChatMessage
	for _, b := range list {
		m, err := msg.ReadStored(asBytes(b))
		if err != nil {
			panic(err)
		}
		messages = append(messages, m)
	}
	return messages
}

func historyOf(v vector) []msg.ChatMessage {
	return storedMessages(asObject(v.file.Shared["histories"]).list(v.Input.text("history")))
}

func (r hostRoom) sees(person string) bool { return !r.closed || r.roles[person] > 0 }

func gapOf(after, first uint64) object { return object{"after_cursor": after, "first_cursor": first} }

// chatPage gives all that following pages bring.
func chatPage(v vector) answer {
	in, ask := v.Input, v.Input.object("request")
	person, wanted := in.text("person"), ask.text("room")
	isBack := ask.has("before_cursor")
	rooms := map[string]hostRoom{}
	var gaps []object
	gap := uint64(0)
	if !isBack && ask.number("after_cursor")+1 < in.number("kept_from") {
		gap = in.number("kept_from")
	}
	for _, r := range hostRooms(in) {
		if !r.sees(person) {
			continue
		}
		rooms[r.name] = r
		if isBack || r.gone <= ask.number("after_cursor") {
			continue
		}
		if wanted == "" {
			told := gapOf(ask.number("after_cursor"), r.from)
			told["room"] = r.name
			gaps = append(gaps, told)
		} else if wanted == r.name && r.from > gap {
			gap = r.from
		}
	}
	cursors := []uint64{}
	for _, m := range historyOf(v) {
		r, ok := rooms[m.RoomName()]
		if !ok || m.Cursor < r.from || m.Cursor < in.number("kept_from") || wanted != "" && wanted != r.name {
			continue
		}
		if isBack && (m.Cursor >= ask.number("before_cursor") || !found(m, ask.text("search"))) {
			continue
		}
		if !isBack && m.Cursor <= ask.number("after_cursor") {
			continue
		}
		cursors = append(cursors, m.Cursor)
	}
	out := object{"cursors": cursors}
	if gap > 0 {
		out["gap"] = gapOf(ask.number("after_cursor"), gap)
	}
	if len(gaps) > 0 {
		out["room_gaps"] = gaps
	}
	return answer{output: out}
}

// found searches the text that a message is shown with in its own place.
func found(m msg.ChatMessage, search string) bool {
	c, ok := m.Said()
	isShown := ok && m.DeletedBy == 0 && !c.EditsOther(m.Cursor)
	return search == "" || isShown && strings.Contains(strings.ToLower(c.Text), strings.ToLower(search))
}

type mark struct{ delivered, read uint64 }

func max(a, b uint64) uint64 {
	if a > b {
		return a
	}
	return b
}

func (m mark) grown(by mark) mark {
	read := max(m.read, by.read)
	return mark{max(max(m.delivered, by.delivered), read), read}
}

func (m mark) shown() object { return object{"delivered": m.delivered, "read": m.read} }

// chatMarks applies CH-045.
func chatMarks(in object) answer {
	last := in.number("last_cursor")
	least := func(n uint64) uint64 {
		if n > last {
			return last
		}
		return n
	}
	var own, others mark
	steps := []object{}
	for _, v := range in.list("marks") {
		o := asObject(v)
		by := mark{least(o.number("delivered")), least(o.number("read"))}
		ownBefore, othersBefore, step := own, others, object{}
		own = own.grown(by)
		if !o.yes("hidden") {
			others = others.grown(by)
		}
		if own != ownBefore || others != othersBefore {
			step["own"] = own.shown()
		}
		if others != othersBefore {
			step["others"] = others.shown()
		}
		steps = append(steps, step)
	}
	return answer{output: object{"steps": steps}}
}

// chatRewrite applies CH-042.
func chatRewrite(v vector) answer {
	unknown := answer{err: code.New(code.MessageUnknown, "nothing that this person can change")}
	post := v.Input.object("post")
	person, by := post.bytes("person"), post.number("cursor")
	c, err := msg.ReadContent(post.bytes("content"))
	if err != nil {
		return answer{err: err}
	}
	target, isDelete := c.Edits, c.Act.Kind == msg.ActDelete
	if isDelete {
		target = c.Act.Cursor
	}
	history := map[uint64]msg.ChatMessage{}
	for _, m := range historyOf(v) {
		history[m.Cursor] = m
	}
	m, ok := history[target]
	old, isRead := m.Said()
	if !ok || !isRead || m.DeletedBy > 0 || old.Act.Kind != 0 || old.EditsOther(target) || old.Room != c.Room {
		return unknown
	}
	may := bytes.Equal(m.Person(), person)
	isThere := false
	for _, r := range hostRooms(v.Input) {
		if r.name == c.Room && target >= r.from {
			isThere = true
			may = may || isDelete && r.roles[hx(person)] == 1
		}
	}
	if !isThere || !may {
		return unknown
	}
	id := old.MessageID
	if len(m.MessageID) > 0 {
		id = m.MessageID
	}
	changed := object{"cursor": target, "content": post.text("content"), "edited_by": by, "message_id": hx(id)}
	if isDelete {
		changed = object{"cursor": target, "content": "", "deleted_by": by, "message_id": hx(id), "room": c.Room}
	}
	all := []object{changed}
	if m.EditedBy > 0 {
		all = append(all, object{"cursor": m.EditedBy, "content": "", "edited_by": by, "room": c.Room})
	}
	return answer{output: object{"changed": all}}
}

// chatDisplay runs the client's own display.
func chatDisplay(in object) answer {
	var d chat.Display
	for _, m := range storedMessages(in.list("messages")) {
		d.Take(m)
	}
	shown := []object{}
	for _, s := range d.All() {
		one := object{"cursor": s.Cursor}
		if s.Deleted {
			one["deleted"] = true
		} else {
			one["text"] = s.Text
		}
		if s.Edited {
			one["edited"] = true
		}
		shown = append(shown, one)
	}
	return answer{output: object{"shown": shown}}
}
