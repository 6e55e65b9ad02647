package chat

import (
	"sort"

	"clawchat/msg"
)

// Shown is a message as a reader sees it.
type Shown struct {
	Cursor          uint64
	Text            string
	Edited, Deleted bool
}

// Display shows messages in the place of those that they change (11.2).
type Display struct {
	shown map[uint64]*Shown
}

// Take takes the next message.
func (d *Display) Take(m msg.ChatMessage) {
	if d.shown == nil {
		d.shown = map[uint64]*Shown{}
	}
	if m.DeletedBy > 0 {
		d.shown[m.Cursor] = &Shown{Cursor: m.Cursor, Deleted: true}
		return
	}
	c, ok := m.Said()
	if !ok {
		return
	}
	if c.Act.Kind == msg.ActDelete {
		if old := d.shown[c.Act.Cursor]; old != nil {
			old.Text, old.Edited, old.Deleted = "", false, true
		}
	}
	if c.Act.Kind != 0 {
		return
	}
	if c.EditsOther(m.Cursor) {
		if old := d.shown[c.Edits]; old != nil {
			old.Text, old.Edited = c.Text, true
		}
		return
	}
	d.shown[m.Cursor] = &Shown{Cursor: m.Cursor, Text: c.Text, Edited: m.EditedBy > 0}
}

// All is what is shown, oldest first.
func (d *Display) All() []Shown {
	var all []Shown
	for _, s := range d.shown {
		all = append(all, *s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Cursor < all[j].Cursor })
	return all
}
