package chat

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"

	"clawchat/code"
	"clawchat/kdf"
	"clawchat/msg"
	"clawchat/state"
)

// NewOutbox is an empty outbox with a random id.
func NewOutbox() (*state.Outbox, error) {
	id := make([]byte, 16)
	_, err := rand.Read(id)
	return &state.Outbox{ID: id, Posts: []state.Post{}}, err
}

// Post numbers a message, makes it durable, and sends it when the outboxes agree
// (CH-003, CH-008, CH-020, CH-027). done is called with its result.
func (c *Client) Post(room, text string, sentAtMs uint64, done func(Result)) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		done(Result{Err: err})
		return
	}
	content := msg.Content{MessageID: id, Room: room, Text: text, SentAtMs: sentAtMs}
	if !content.Valid() {
		done(Result{Err: code.New(code.MessageMalformed, "room or text has another length than is allowed")})
		return
	}
	before := c.keeper.Outbox()
	if len(before.Posts) >= unacknowledged {
		done(Result{Err: code.New(code.OutboxFull, "wait until the host has answered some")})
		return
	}
	after := *before
	after.Posts = append(append([]state.Post{}, before.Posts...), state.Post{Content: content.Bytes()})
	if err := c.keeper.KeepOutbox(&after); err != nil {
		done(Result{Err: err})
		return
	}
	c.waiting[hex.EncodeToString(id)] = done
	if c.state == ready {
		c.send(after.Given(), after.Posts[len(after.Posts)-1].Content)
	}
}

func (c *Client) send(number uint64, content []byte) {
	id := c.ask(msg.AskPost, msg.Post(c.keeper.Outbox().ID, number, content), c.posted)
	c.posts = append(c.posts, sent{id, number})
}

// posted takes a PostResult: durable first, then reported (CH-024).
func (c *Client) posted(r msg.ChatReply) {
	o := c.keeper.Outbox()
	if len(c.posts) == 0 || c.posts[0].id != r.RequestID || c.posts[0].number != r.Result.Number ||
		r.Result.Number != o.Answered+1 || len(o.Posts) == 0 {
		c.abort(code.MessageMalformed, "a result out of order")
		return
	}
	c.posts = c.posts[1:]
	content := o.Posts[0].Content
	after := *o
	after.Answered++
	after.AnsweredHash = kdf.ContentHash(content)
	after.Posts = append([]state.Post{}, o.Posts[1:]...)
	if err := c.keeper.KeepOutbox(&after); err != nil {
		c.abort(code.Of(err), "the outbox cannot be kept")
		return
	}
	c.report(content, Result{Number: r.Result.Number, Cursor: r.Result.Cursor, Code: code.Known(r.Result.Code)})
}

// report tells whoever waits for a message.
func (c *Client) report(content []byte, r Result) {
	parsed, _ := msg.ReadContent(content)
	key := hex.EncodeToString(parsed.MessageID)
	if done := c.waiting[key]; done != nil {
		delete(c.waiting, key)
		done(r)
		return
	}
	c.note("posted from an earlier run", nil)
}

// outboxOpened judges the host's state of the outbox (CH-019).
func (c *Client) outboxOpened(r msg.ChatReply) {
	if c.agrees(r.Outbox) {
		c.become()
		return
	}
	o := c.keeper.Outbox()
	text := "the outbox is replaced"
	if bytes.Equal(r.Outbox.ID, o.ID) && r.Outbox.Highest < o.Answered { // CH-029
		text = "the outbox is replaced; the host has lost messages"
	}
	c.note(text, code.New(code.OutboxMismatch, "the host knows another outbox"))
	c.state = comparing
	var entries []msg.OutboxEntry
	for i, p := range o.Posts {
		entries = append(entries, msg.OutboxEntry{Number: o.Answered + 1 + uint64(i), Hash: kdf.ContentHash(p.Content)})
	}
	c.ask(msg.AskOutboxCompare, msg.OutboxCompare(entries), c.outboxCompared)
}

func (c *Client) agrees(s msg.OutboxState) bool {
	o := c.keeper.Outbox()
	if !bytes.Equal(s.ID, o.ID) || s.Highest < o.Answered || s.Highest > o.Given() {
		return false
	}
	known := []byte(o.AnsweredHash)
	if s.Highest > o.Answered {
		known = kdf.ContentHash(o.Posts[s.Highest-o.Answered-1].Content)
	}
	return s.Highest == 0 || bytes.Equal(s.Hash, known)
}

// outboxCompared begins a new outbox with what is not stored (CH-023).
func (c *Client) outboxCompared(r msg.ChatReply) {
	cursors := map[string]uint64{}
	for i, h := range r.Stored.Hashes {
		cursors[string(h)] = r.Stored.Cursors[i]
	}
	next, err := NewOutbox()
	if err != nil {
		c.abort(code.Internal, err.Error())
		return
	}
	type stored struct {
		content []byte
		result  Result
	}
	var found []stored
	o := c.keeper.Outbox()
	for i, p := range o.Posts {
		if cursor, ok := cursors[string(kdf.ContentHash(p.Content))]; ok {
			found = append(found, stored{p.Content, Result{Number: o.Answered + 1 + uint64(i), Cursor: cursor}})
		} else {
			next.Posts = append(next.Posts, p)
		}
	}
	if err := c.keeper.KeepOutbox(next); err != nil {
		c.abort(code.Of(err), "the outbox cannot be kept")
		return
	}
	for _, s := range found {
		c.report(s.content, s.result)
	}
	c.state = replacing
	c.ask(msg.AskOutboxReplace, msg.OutboxID(next.ID), func(r msg.ChatReply) {
		if !bytes.Equal(r.Outbox.ID, next.ID) || r.Outbox.Highest != 0 {
			c.abort(code.MessageMalformed, "the new outbox is not what was asked for")
			return
		}
		c.become()
	})
}

// become posts everything without an answer (CH-025).
func (c *Client) become() {
	c.state, c.reopen = ready, 0
	c.note("outbox ready", nil)
	o := c.keeper.Outbox()
	for i, p := range o.Posts {
		c.send(o.Answered+1+uint64(i), p.Content)
	}
}
