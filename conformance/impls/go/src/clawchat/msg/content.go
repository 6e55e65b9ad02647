package msg

import (
	"unicode"
	"unicode/utf8"

	"clawchat/code"
	"clawchat/pb"
)

const (
	contentMax = 33024 // CONTENT_BYTES_MAX
	textMax    = 32768 // TEXT_BYTES_MAX
)

// Acts of a ChatContent, by their field numbers.
const (
	ActDelete = 7
	ActCreate = 8
	ActJoin   = 9
	ActLeave  = 10
	ActTopic  = 11
	ActGrant  = 12
	ActKeep   = 13
	ActRename = 14
	ActRemove = 15
)

// Content is a ChatContent: a text, or an act beside an empty one.
type Content struct {
	MessageID []byte
	Room      string
	Text      string
	SentAtMs  uint64
	ReplyTo   uint64
	Edits     uint64
	Act       Act
}

// Act is what a content does instead of saying something; Kind 0 is none.
type Act struct {
	Kind   int
	Cursor uint64 // of what is deleted
	Topic  string
	Closed bool
	Person []byte
	Role   uint32
	KeepMs uint64
	Name   string
}

// Bytes encodes a content; nobody encodes it again.
func (c Content) Bytes() []byte {
	var w pb.Writer
	w.Bytes(1, c.MessageID).Text(2, c.Room).Text(3, c.Text).Uint(4, c.SentAtMs).Uint(5, c.ReplyTo).Uint(6, c.Edits)
	if c.Act.Kind != 0 {
		w.Message(c.Act.Kind, c.Act.bytes())
	}
	return w.Done()
}

func (a Act) bytes() []byte {
	var w pb.Writer
	switch a.Kind {
	case ActDelete:
		w.Uint(1, a.Cursor)
	case ActCreate:
		w.Text(1, a.Topic).Bool(2, a.Closed)
	case ActTopic:
		w.Text(1, a.Topic)
	case ActGrant:
		w.Bytes(1, a.Person).Uint(2, uint64(a.Role))
	case ActKeep:
		w.Uint(1, a.KeepMs)
	case ActRename:
		w.Text(1, a.Name)
	}
	return w.Done()
}

// ReadContent parses a content and applies CH-003.
func ReadContent(b []byte) (c Content, err error) {
	if len(b) > contentMax {
		return c, code.New(code.MessageTooLarge, "a content of %d bytes", len(b))
	}
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.Data(&c.MessageID)
		case 2:
			return f.Text(&c.Room)
		case 3:
			return f.Text(&c.Text)
		case 4:
			return f.U64(&c.SentAtMs)
		case 5:
			return f.U64(&c.ReplyTo)
		case 6:
			return f.U64(&c.Edits)
		}
		if f.Type != pb.Bytes || f.Number < ActDelete || f.Number > ActRemove {
			return nil
		}
		if c.Act.Kind != f.Number { // of several acts the last one counts
			c.Act = Act{Kind: f.Number}
		}
		return pb.Walk(f.Bytes, c.Act.field)
	})
	if err != nil || !c.valid() {
		return c, code.New(code.MessageMalformed, "a content that breaks a rule")
	}
	if len(c.Text) > textMax {
		return c, code.New(code.MessageTooLarge, "a text of %d bytes", len(c.Text))
	}
	return c, nil
}

func (a *Act) field(f pb.Field) error {
	switch a.Kind<<8 | f.Number {
	case ActDelete<<8 | 1:
		return f.U64(&a.Cursor)
	case ActCreate<<8 | 1, ActTopic<<8 | 1:
		return f.Text(&a.Topic)
	case ActCreate<<8 | 2:
		return f.Bool(&a.Closed)
	case ActGrant<<8 | 1:
		return f.Data(&a.Person)
	case ActGrant<<8 | 2:
		return f.U32(&a.Role)
	case ActKeep<<8 | 1:
		return f.U64(&a.KeepMs)
	case ActRename<<8 | 1:
		return f.Text(&a.Name)
	}
	return nil
}

// Valid applies the rules of CH-003 for the fields.
func (c Content) Valid() bool { return c.valid() && len(c.Text) <= textMax }

// valid is Valid for a text of any length.
func (c Content) valid() bool {
	if len(c.MessageID) != 16 || len(c.Room) < 1 || len(c.Room) > 64 || !utf8.ValidString(c.Room) {
		return false
	}
	if c.SentAtMs >= below || c.ReplyTo >= below || c.Edits >= below {
		return false
	}
	if c.Act.Kind != 0 {
		return c.Text == "" && c.ReplyTo == 0 && c.Edits == 0 && c.Act.valid()
	}
	return c.Text != "" && utf8.ValidString(c.Text)
}

func (a Act) valid() bool {
	switch a.Kind {
	case ActDelete:
		return a.Cursor >= 1 && a.Cursor < below
	case ActCreate, ActTopic:
		return len(a.Topic) <= 256 && utf8.ValidString(a.Topic)
	case ActGrant:
		return len(a.Person) == 16 && a.Role <= 4
	case ActKeep:
		return a.KeepMs < below
	case ActRename:
		return goodName(a.Name)
	}
	return true
}

// goodName is a name as 8.3 allows it.
func goodName(name string) bool {
	for _, r := range name {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 64 && utf8.ValidString(name)
}
