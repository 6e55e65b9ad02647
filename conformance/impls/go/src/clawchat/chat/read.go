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
		c.later(msg.AskHistory, msg.HistoryRequest(after, 0, room), func(r msg.ChatReply) {
			if r.Body == msg.SayRefusal {
				done(nil, code.New(code.Known(r.Refusal), "the host refused"))
				return
			}
			for _, m := range r.History.Messages {
				if read, ok := readable(m); ok {
					all = append(all, read)
				}
			}
			if len(all) >= most {
				done(all[:most], nil)
			} else if !r.History.More {
				done(all, nil)
			} else if r.History.Through <= after && len(r.History.Messages) == 0 {
				c.abort(code.MessageMalformed, "a page that leads nowhere")
			} else {
				page(r.History.Through)
			}
		})
	}
	page(after)
}

// Rooms lists the rooms.
func (c *Client) Rooms(done func([]string, error)) {
	c.later(msg.AskRooms, nil, func(r msg.ChatReply) {
		if r.Body == msg.SayRefusal {
			done(nil, code.New(code.Known(r.Refusal), "the host refused"))
			return
		}
		done(r.Rooms, nil)
	})
}

// later asks now, or on the next stream.
func (c *Client) later(kind int, body []byte, done func(msg.ChatReply)) {
	if c.stream == nil {
		c.again = append(c.again, request{kind, body, done})
		return
	}
	c.ask(kind, body, done)
}

// readable passes over what cannot be read (CH-037).
func readable(m msg.ChatMessage) (Message, bool) {
	content, ok := msg.ReadContent(m.Content)
	return Message{m, content}, ok
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
