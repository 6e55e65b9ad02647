package msg

import "clawchat/pb"

// ReadStored parses a ChatMessage as a host stores it.
func ReadStored(b []byte) (m ChatMessage, err error) {
	return m, pb.Walk(b, m.field)
}

// Said is what the content says; ok is false for one that nobody can read (CH-037).
func (v *ChatMessage) Said() (c Content, ok bool) {
	c, err := ReadContent(v.Content)
	return c, err == nil
}

// RoomName is the room of a message, which says it itself once it has no content.
func (v *ChatMessage) RoomName() string {
	if v.Room != "" {
		return v.Room
	}
	c, _ := v.Said()
	return c.Room
}

// Person is who sent it.
func (v *ChatMessage) Person() []byte {
	if len(v.PersonID) > 0 {
		return v.PersonID
	}
	return v.DeviceID
}

// EditsOther says whether a content takes the place of another message's (11.2).
func (c Content) EditsOther(cursor uint64) bool { return c.Edits > 0 && c.Edits != cursor }
