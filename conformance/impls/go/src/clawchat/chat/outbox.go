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
func (c *Client) Post(content msg.Content, done func(Result)) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		done(Result{Err: err})
		return
	}
	content.MessageID = id
	if !content.Valid() {
		done(Result{Err: code.New(code.MessageMalformed, "the room, the text or the act breaks a rule")})
		return
	}
	if len(c.box.Posts) >= unacknowledged {
		done(Result{Err: code.New(code.OutboxFull, "wait until the host has answered some")})
		return
	}
	c.box.Posts = append(c.box.Posts, state.Post{Content: content.Bytes()})
	key := hex.EncodeToString(id)
	c.waiting[key] = done
	c.durable(func(err error) {
		if err != nil {
			delete(c.waiting, key)
			done(Result{Err: err})
		}
	})
	if c.state == ready { // nothing is sent before the turn is settled
		c.send(c.box.Given(), c.box.Posts[len(c.box.Posts)-1].Content)
	}
}

// durable calls f when everything that the outbox is now has become durable, at the end
// of the turn, or could not.
func (c *Client) durable(f func(error)) { c.unsettled = append(c.unsettled, f) }

// Settle makes the outbox durable, once for all that a turn has changed, before anything
// of the turn is sent or reported (CH-020, CH-024, CH-023).
func (c *Client) Settle() {
	for len(c.unsettled) > 0 {
		after := c.unsettled
		c.unsettled = nil
		err := c.keeper.KeepOutbox(c.box.Copy())
		if err != nil {
			c.box = c.keeper.Outbox().Copy()
			c.abort(code.Of(err), "the outbox cannot be kept")
		}
		for _, f := range after {
			f(err)
		}
	}
}

func (c *Client) send(number uint64, content []byte) {
	id := c.ask(msg.AskPost, msg.Post(c.box.ID, number, content), c.posted)
	c.posts = append(c.posts, sent{id, number})
}

// posted takes a PostResult: durable first, then reported (CH-024).
func (c *Client) posted(r msg.ChatReply) {
	o := c.box
	if len(c.posts) == 0 || c.posts[0].id != r.RequestID || c.posts[0].number != r.Result.Number ||
		r.Result.Number != o.Answered+1 || len(o.Posts) == 0 {
		c.abort(code.MessageMalformed, "a result out of order")
		return
	}
	c.posts = c.posts[1:]
	content := o.Posts[0].Content
	o.Answered++
	o.AnsweredHash = kdf.ContentHash(content)
	o.Posts = o.Posts[1:]
	result := Result{Number: r.Result.Number, Cursor: r.Result.Cursor, Code: code.Known(r.Result.Code)}
	c.durable(func(err error) {
		if err == nil {
			c.report(content, result)
		}
	})
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
	c.earlier(r)
}

// outboxOpened judges the host's state of the outbox (CH-019).
func (c *Client) outboxOpened(r msg.ChatReply) {
	if c.agrees(r.Outbox) {
		c.become()
		return
	}
	o := c.box
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
	o := c.box
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
	next, err := c.fresh()
	if err != nil {
		c.abort(code.Internal, err.Error())
		return
	}
	type stored struct {
		content []byte
		result  Result
	}
	var found []stored
	o := c.box
	for i, p := range o.Posts {
		if cursor, ok := cursors[string(kdf.ContentHash(p.Content))]; ok {
			found = append(found, stored{p.Content, Result{Number: o.Answered + 1 + uint64(i), Cursor: cursor}})
		} else {
			next.Posts = append(next.Posts, p)
		}
	}
	c.box = next
	c.durable(func(err error) {
		for _, s := range found {
			if err == nil {
				c.report(s.content, s.result)
			}
		}
	})
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
	o := c.box
	for i, p := range o.Posts {
		c.send(o.Answered+1+uint64(i), p.Content)
	}
}
