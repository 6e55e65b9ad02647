package msg

import (
	"unicode/utf8"

	"clawchat/pb"
)

// Bodies of a ChatRequest, by their field numbers.
const (
	AskOutboxOpen    = 2
	AskOutboxCompare = 3
	AskOutboxReplace = 4
	AskPost          = 5
	AskSubscribe     = 6
	AskHistory       = 7
	AskRooms         = 8
	AskHello         = 9
)

// Bodies of a ChatReply.
const (
	SayOutboxState  = 2
	SayOutboxStored = 3
	SayPostResult   = 4
	SayMessage      = 5
	SayGap          = 6
	SayHistory      = 7
	SayRooms        = 8
	SayRefusal      = 9
	SayCaughtUp     = 10
	SayWelcome      = 11
	SayMark         = 12
	SayTyping       = 13
	SayPresence     = 14
	SayPeople       = 15
	SayRoomGap      = 16
	SayDeviceInvite = 17
)

// ChatRequest wraps an encoded body.
func ChatRequest(id uint32, kind int, body []byte) []byte {
	var w pb.Writer
	return w.Uint(1, uint64(id)).Message(kind, body).Done()
}

// OutboxID is the body of OutboxOpen and OutboxReplace.
func OutboxID(id []byte) []byte {
	var w pb.Writer
	return w.Bytes(1, id).Done()
}

// OutboxEntry is one post of an OutboxCompare.
type OutboxEntry struct {
	Number uint64
	Hash   []byte
}

// OutboxCompare names posts.
func OutboxCompare(entries []OutboxEntry) []byte {
	var w pb.Writer
	for _, e := range entries {
		var in pb.Writer
		w.Message(1, in.Uint(1, e.Number).Bytes(2, e.Hash).Done())
	}
	return w.Done()
}

// Post is one post of an outbox.
func Post(outbox []byte, number uint64, content []byte) []byte {
	var w pb.Writer
	return w.Bytes(1, outbox).Uint(2, number).Bytes(3, content).Done()
}

// Subscribe asks for messages from a cursor on.
func Subscribe(after uint64, fromNow bool) []byte {
	var w pb.Writer
	return w.Uint(1, after).Bool(2, fromNow).Done()
}

// HistoryRequest asks for a page.
func HistoryRequest(after uint64, limit uint32, room string) []byte {
	var w pb.Writer
	return w.Uint(1, after).Uint(2, uint64(limit)).Text(3, room).Done()
}

// BackwardsRequest asks for the last messages below a cursor (CH-043).
func BackwardsRequest(before uint64, limit uint32, room, search string) []byte {
	var w pb.Writer
	return w.Uint(2, uint64(limit)).Text(3, room).Uint(4, before).Text(5, search).Done()
}

// ChatHello says whether the client wants to be told of marks, typing and presence (11.8).
func ChatHello(events bool) []byte {
	var w pb.Writer
	return w.Bool(1, events).Done()
}

// ChatReply is what the host says on a chat stream. Body says which part counts.
type ChatReply struct {
	RequestID uint32
	Body      int
	Outbox    OutboxState
	Stored    OutboxStored
	Result    PostResult
	Message   ChatMessage
	Gap       HistoryGap
	History   HistoryPage
	Rooms     []Room
	Refusal   uint32
	CaughtUp  uint64
	Welcome   Welcome
	Told      Told
	People    []Told
	Invite    DeviceInvite
}

// Room is a room of the host.
type Room struct {
	Name, Topic      string
	Keep, Last, Read uint64
}

// DeviceInvite is an invite for another device of the person.
type DeviceInvite struct {
	Text      string
	ExpiresAt uint64
}

// Welcome says what the host knows.
type Welcome struct {
	PersonID  []byte
	Backwards bool
}

// OutboxState is what the host knows of an outbox.
type OutboxState struct {
	ID      []byte
	Highest uint64
	Hash    []byte
}

// OutboxStored names stored posts.
type OutboxStored struct {
	Hashes  [][]byte
	Cursors []uint64
}

// PostResult is the final word on a post.
type PostResult struct {
	Number uint64
	Code   uint32
	Cursor uint64
}

// ChatMessage is a stored message.
type ChatMessage struct {
	Cursor     uint64
	DeviceID   []byte
	Name       string
	StoredAtMs uint64
	Content    []byte
	PersonID   []byte
	EditedBy   uint64
	DeletedBy  uint64
	MessageID  []byte
	Room       string
}

// HistoryGap says that messages are no longer kept.
type HistoryGap struct {
	After, First uint64
	Room         string
}

// HistoryPage is a page of history.
type HistoryPage struct {
	Messages []ChatMessage
	More     bool
	Through  uint64
	Gap      *HistoryGap
	From     uint64
	RoomGaps []HistoryGap
}

// ReadChatReply parses a reply.
func ReadChatReply(b []byte) (v ChatReply, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		if f.Number == 1 {
			return f.U32(&v.RequestID)
		}
		if f.Type != pb.Bytes || f.Number > SayDeviceInvite {
			return nil
		}
		if v.Body != f.Number {
			v = ChatReply{RequestID: v.RequestID, Body: f.Number}
		}
		return pb.Walk(f.Bytes, func(in pb.Field) error { return v.field(in) })
	})
	return v, err
}

func (v *ChatReply) field(f pb.Field) error {
	switch v.Body {
	case SayMessage:
		return v.Message.field(f)
	case SayGap, SayRoomGap:
		return v.Gap.field(f)
	case SayHistory:
		return v.History.field(f)
	case SayMark, SayTyping, SayPresence:
		return v.Told.field(v.Body, f)
	case SayPeople:
		return v.person(f)
	}
	switch v.Body<<8 | f.Number {
	case SayOutboxState<<8 | 1:
		return f.Data(&v.Outbox.ID)
	case SayOutboxState<<8 | 2:
		return f.U64(&v.Outbox.Highest)
	case SayOutboxState<<8 | 3:
		return f.Data(&v.Outbox.Hash)
	case SayOutboxStored<<8 | 1:
		if f.Type == pb.Bytes {
			v.Stored.Hashes = append(v.Stored.Hashes, f.Bytes)
		}
	case SayOutboxStored<<8 | 2:
		return f.U64s(&v.Stored.Cursors)
	case SayPostResult<<8 | 1:
		return f.U64(&v.Result.Number)
	case SayPostResult<<8 | 2:
		return f.U32(&v.Result.Code)
	case SayPostResult<<8 | 3:
		return f.U64(&v.Result.Cursor)
	case SayRooms<<8 | 1:
		return v.room(f)
	case SayRefusal<<8 | 1:
		return f.U32(&v.Refusal)
	case SayCaughtUp<<8 | 1:
		return f.U64(&v.CaughtUp)
	case SayWelcome<<8 | 1:
		return f.Data(&v.Welcome.PersonID)
	case SayWelcome<<8 | 2:
		return f.Bool(&v.Welcome.Backwards)
	case SayDeviceInvite<<8 | 1:
		return f.Text(&v.Invite.Text)
	case SayDeviceInvite<<8 | 2:
		return f.U64(&v.Invite.ExpiresAt)
	}
	return nil
}

func (v *ChatReply) room(f pb.Field) error {
	if f.Type != pb.Bytes {
		return nil
	}
	var r Room
	err := pb.Walk(f.Bytes, func(in pb.Field) error {
		switch in.Number {
		case 1:
			return in.Text(&r.Name)
		case 2:
			return in.Text(&r.Topic)
		case 5:
			return in.U64(&r.Keep)
		case 6:
			return in.U64(&r.Last)
		case 7:
			return in.U64(&r.Read)
		}
		return nil
	})
	v.Rooms = append(v.Rooms, r)
	return err
}

func (v *ChatMessage) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.U64(&v.Cursor)
	case 2:
		return f.Data(&v.DeviceID)
	case 3:
		return f.Text(&v.Name)
	case 4:
		return f.U64(&v.StoredAtMs)
	case 5:
		return f.Data(&v.Content)
	case 6:
		return f.Data(&v.PersonID)
	case 7:
		return f.U64(&v.EditedBy)
	case 8:
		return f.U64(&v.DeletedBy)
	case 9:
		return f.Data(&v.MessageID)
	case 10:
		return f.Text(&v.Room)
	}
	return nil
}

func (v *HistoryGap) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.U64(&v.After)
	case 2:
		return f.U64(&v.First)
	case 3:
		return f.Text(&v.Room)
	}
	return nil
}

func (v *HistoryPage) field(f pb.Field) error {
	switch f.Number {
	case 2:
		return f.Bool(&v.More)
	case 3:
		return f.U64(&v.Through)
	case 5:
		return f.U64(&v.From)
	}
	if f.Type != pb.Bytes {
		return nil
	}
	switch f.Number {
	case 1:
		var m ChatMessage
		err := pb.Walk(f.Bytes, m.field)
		v.Messages = append(v.Messages, m)
		return err
	case 4:
		if v.Gap == nil {
			v.Gap = &HistoryGap{}
		}
		return pb.Walk(f.Bytes, v.Gap.field)
	case 6:
		var g HistoryGap
		err := pb.Walk(f.Bytes, g.field)
		v.RoomGaps = append(v.RoomGaps, g)
		return err
	}
	return nil
}

const below = 1 << 53

// Valid says whether a reply keeps the table of CH-007.
func (v *ChatReply) Valid() bool {
	switch v.Body {
	case SayOutboxState:
		o := v.Outbox
		return len(o.ID) == 16 && o.Highest < below && (o.Highest == 0 && len(o.Hash) == 0 || o.Highest > 0 && len(o.Hash) == 32)
	case SayOutboxStored:
		for i, h := range v.Stored.Hashes {
			if len(h) != 32 || i >= len(v.Stored.Cursors) || v.Stored.Cursors[i] == 0 || v.Stored.Cursors[i] >= below {
				return false
			}
		}
		return len(v.Stored.Hashes) == len(v.Stored.Cursors) && len(v.Stored.Hashes) <= 1024
	case SayPostResult:
		r := v.Result
		return r.Number >= 1 && r.Number < below && r.Cursor < below && (r.Code == 0) == (r.Cursor > 0)
	case SayMessage:
		return v.Message.valid()
	case SayGap:
		return v.Gap.valid()
	case SayHistory:
		return v.History.valid()
	case SayRooms:
		for _, r := range v.Rooms {
			if !isRoom(r.Name) || len(r.Topic) > 256 || r.Keep >= below || r.Last >= below || r.Read >= below {
				return false
			}
		}
		return len(v.Rooms) >= 1 && len(v.Rooms) <= 256
	case SayCaughtUp:
		return v.CaughtUp < below
	case SayWelcome:
		return len(v.Welcome.PersonID) == 16
	case SayMark, SayTyping, SayPresence:
		return v.Told.valid(v.Body)
	case SayPeople:
		return validPeople(v.People)
	case SayRoomGap:
		return isRoom(v.Gap.Room) && v.Gap.valid()
	case SayDeviceInvite:
		return utf8.RuneCountInString(v.Invite.Text) <= 16384 && v.Invite.ExpiresAt < below
	}
	return true
}

func (v *HistoryGap) valid() bool { return v.First < below && v.After < v.First }

// valid does not judge name, time, device and content (CH-037).
func (v *ChatMessage) valid() bool {
	isID := func(b []byte) bool { return len(b) == 0 || len(b) == 16 }
	return v.Cursor >= 1 && v.Cursor < below && v.EditedBy < below && v.DeletedBy < below &&
		isID(v.PersonID) && isID(v.MessageID) && len(v.Room) <= roomMax
}

func (v *HistoryPage) valid() bool {
	last := uint64(0)
	for i := range v.Messages {
		m := &v.Messages[i]
		if !m.valid() || m.Cursor <= last {
			return false
		}
		last = m.Cursor
	}
	for _, g := range v.RoomGaps {
		if !isRoom(g.Room) || !g.valid() {
			return false
		}
	}
	return len(v.RoomGaps) <= 256 && len(v.Messages) <= 256 && last <= v.Through && v.Through < below && v.From < below &&
		(v.Gap == nil || v.Gap.valid())
}
