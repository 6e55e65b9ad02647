package chat

import (
	"clawchat/code"
	"clawchat/msg"
)

// Message is a message with its content taken apart.
type Message struct {
	msg.ChatMessage
	Parsed msg.Content
}

// History reads all pages behind a cursor, at most most messages (CH-035).
func (c *Client) History(after uint64, room string, most int, done func([]Message, error)) {
	var all []Message
	var page func(after uint64)
	page = func(after uint64) {
		body := msg.HistoryRequest(after, 0, room)
		c.later(request{kind: msg.AskHistory, body: body, done: func(r msg.ChatReply) {
			if r.Body == msg.SayRefusal {
				done(nil, code.New(code.Known(r.Refusal), "the host refused"))
				return
			}
			all = append(all, pageOf(r.History)...)
			if len(all) >= most {
				done(all[:most], nil)
			} else if !r.History.More {
				done(all, nil)
			} else if r.History.Through <= after && len(r.History.Messages) == 0 {
				c.abort(code.MessageMalformed, "a page that leads nowhere")
			} else {
				page(r.History.Through)
			}
		}})
	}
	page(after)
}

// Rooms lists the rooms.
func (c *Client) Rooms(done func([]string, error)) {
	c.later(request{kind: msg.AskRooms, done: func(r msg.ChatReply) {
		if r.Body == msg.SayRefusal {
			done(nil, code.New(code.Known(r.Refusal), "the host refused"))
			return
		}
		names := make([]string, 0, len(r.Rooms))
		for _, room := range r.Rooms {
			names = append(names, room.Name)
		}
		done(names, nil)
	}})
}

// Search reads backwards from the newest message those with a text in them (CH-043), and
// gives them oldest first.
func (c *Client) Search(room, text string, done func([]Message, error)) {
	var found []Message
	var page func(before uint64)
	page = func(before uint64) {
		body := msg.BackwardsRequest(before, 0, room, text)
		c.later(request{kind: msg.AskHistory, body: body, backwards: true, done: func(r msg.ChatReply) {
			if r.Body == msg.SayRefusal {
				done(nil, code.New(code.Known(r.Refusal), "the host refused"))
				return
			}
			found = append(pageOf(r.History), found...)
			if !r.History.More {
				done(found, nil)
			} else if r.History.From == 0 || r.History.From >= before {
				c.abort(code.MessageMalformed, "a page that leads nowhere")
			} else {
				page(r.History.From)
			}
		}})
	}
	page(1<<53 - 1)
}

// readable passes over what cannot be read (CH-037), what was deleted, and acts.
func readable(m msg.ChatMessage) (Message, bool) {
	content, err := msg.ReadContent(m.Content)
	return Message{m, content}, err == nil && content.Act.Kind == 0
}

// pageOf gives what of a page is to be shown: not the edits, whose text stands in the
// messages that they name (11.2).
func pageOf(page msg.HistoryPage) []Message {
	var shown []Message
	for _, m := range page.Messages {
		read, ok := readable(m)
		if ok && (read.Parsed.Edits == 0 || read.Parsed.Edits == m.Cursor) {
			shown = append(shown, read)
		}
	}
	return shown
}

// feed is a subscription that goes on from stream to stream.
type feed struct {
	after   uint64
	message func(Message)
	gap     func(after, first uint64)
	caught  func(cursor uint64)
}

// Subscribe takes every message behind a cursor, each once (CH-036).
func (c *Client) Subscribe(after uint64, message func(Message), gap func(after, first uint64), caught func(uint64)) {
	c.feed = &feed{after, message, gap, caught}
	if c.stream != nil {
		c.feed.subscribe(c)
	}
}

func (f *feed) subscribe(c *Client) {
	if f != nil {
		c.stream.Send(msg.ChatRequest(0, msg.AskSubscribe, msg.Subscribe(f.after, false)))
	}
}

// take handles what is pushed and says whether there is a subscription.
func (f *feed) take(r msg.ChatReply) bool {
	if f == nil {
		return false
	}
	switch r.Body {
	case msg.SayMessage:
		if r.Message.Cursor > f.after {
			f.after = r.Message.Cursor
			if m, ok := readable(r.Message); ok {
				f.message(m)
			}
		}
	case msg.SayGap:
		f.gap(r.Gap.After, r.Gap.First)
	case msg.SayCaughtUp:
		f.caught(r.CaughtUp)
	}
	return true
}
