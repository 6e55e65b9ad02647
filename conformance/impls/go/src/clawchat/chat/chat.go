// Package chat is the client's side of the service chat.v1 (chapter 11). Everything in it
// runs in the session's loop.
package chat

import (
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/session"
	"clawchat/state"
)

const (
	service         = "chat.v1"
	messageMax      = 1048576 // CHAT_MESSAGE_BYTES_MAX
	unacknowledged  = 1024    // OUTBOX_UNACKNOWLEDGED_MAX
	reopenAfter     = time.Second
	reopenAfterMost = 60 * time.Second
)

// States of the outbox (11.4).
const (
	closed = iota
	opening
	comparing
	replacing
	ready
)

// Keeper makes an outbox durable before it returns (CH-020, CH-024).
type Keeper interface {
	Outbox() *state.Outbox
	KeepOutbox(*state.Outbox) error
}

// line is the stream that carries the service.
type line interface {
	Send(message []byte)
	End()
	Abort(reason code.Code)
}

// Result is what became of a post.
type Result struct {
	Number uint64
	Cursor uint64
	Code   code.Code
	Err    error
}

// Client keeps one chat stream open and an outbox beside it.
type Client struct {
	keeper  Keeper
	note    func(event string, err error)
	earlier func(Result) // posts of an earlier run
	session *session.Session
	stream  line
	state   int
	nextID  uint32
	asked   map[uint32]request
	posts   []sent // posts without a result on this stream, in order (CH-005)
	waiting map[string]func(Result)
	again   []request // asked and not answered when the stream ended
	reopen  time.Duration
	feed    *feed
	welcome *msg.Welcome // what the host knows; nil until it has said so on this stream

	fresh     func() (*state.Outbox, error) // an empty outbox of a new id
	box       *state.Outbox                 // as it is now; the keeper has it as it is on disk
	unsettled []func(error)                 // wait for the end of the turn
}

// request is one that waits for its answer.
type request struct {
	kind int
	body []byte
	done func(msg.ChatReply)
	// It needs a host that reads backwards.
	backwards bool
}

// sent is a post that waits for its PostResult.
type sent struct {
	id     uint32
	number uint64
}

// New makes a client of the service.
func New(keeper Keeper, note func(string, error), earlier func(Result)) *Client {
	return &Client{keeper: keeper, note: note, earlier: earlier, fresh: NewOutbox, box: keeper.Outbox().Copy(), asked: map[uint32]request{}, waiting: map[string]func(Result){}}
}

// Opened opens the stream in a session, and asks again what had no answer (11.1).
func (c *Client) Opened(s *session.Session) {
	c.session = s
	if c.stream != nil {
		return
	}
	stream, err := s.Open(service, messageMax, c)
	if err != nil {
		c.note("no stream", err)
		return
	}
	c.carry(stream)
}

// carry begins on a stream: hello, the outbox, the subscription.
func (c *Client) carry(stream line) {
	c.stream, c.state = stream, opening
	c.asked, c.posts = map[uint32]request{}, nil
	c.welcome = nil
	c.ask(msg.AskHello, msg.ChatHello(false), c.welcomed)
	c.ask(msg.AskOutboxOpen, msg.OutboxID(c.box.ID), c.outboxOpened) // CH-025
	c.feed.subscribe(c)
}

// welcomed learns what the host knows; one that refuses is older (11.8). What was asked
// and not answered is asked again only now, because it may need to know (CH-039).
func (c *Client) welcomed(r msg.ChatReply) {
	c.welcome = &r.Welcome
	again := c.again
	c.again = nil
	for _, q := range again {
		c.begin(q)
	}
}

// later asks now, or when the host has said what it knows.
func (c *Client) later(q request) {
	if c.stream == nil || c.welcome == nil {
		c.again = append(c.again, q)
		return
	}
	c.begin(q)
}

func (c *Client) begin(q request) {
	if q.backwards && !c.welcome.Backwards { // CH-039
		q.done(msg.ChatReply{Body: msg.SayRefusal, Refusal: uint32(code.VersionUnsupported)})
		return
	}
	c.put(q)
}

// Ended is the end of the stream or of its session.
func (c *Client) Ended(reason code.Code) {
	c.stream.End()
	c.stream, c.state = nil, closed
	for _, r := range c.asked {
		if r.kind == msg.AskHistory || r.kind == msg.AskRooms {
			c.again = append(c.again, r)
		}
	}
	c.asked, c.posts = map[uint32]request{}, nil
	if reason == code.SessionLost {
		return // the next session opens the next stream
	}
	c.note("stream ended", code.New(reason, "the chat stream ended"))
	c.reopen = 2*c.reopen + reopenAfter
	if c.reopen > reopenAfterMost {
		c.reopen = reopenAfterMost
	}
	s := c.session
	time.AfterFunc(c.reopen, func() {
		s.Do(func() {
			if c.session == s && s.Ready() {
				c.Opened(s)
			}
		})
	})
}

// abort ends the stream because the host broke a rule or contradicted (CH-007, CH-028).
func (c *Client) abort(reason code.Code, why string) {
	c.note("stream aborted", code.New(reason, "%s", why))
	if c.stream != nil {
		c.stream.Abort(reason) // calls Ended
	}
}

// ask sends a request with an id that no unanswered one has (CH-006).
func (c *Client) ask(kind int, body []byte, done func(msg.ChatReply)) uint32 {
	return c.put(request{kind: kind, body: body, done: done})
}

func (c *Client) put(q request) uint32 {
	for {
		c.nextID++
		if _, taken := c.asked[c.nextID]; c.nextID != 0 && !taken {
			break
		}
	}
	c.asked[c.nextID] = q
	c.stream.Send(msg.ChatRequest(c.nextID, q.kind, q.body))
	return c.nextID
}

// answers says which body answers which request.
var answers = map[int]int{
	msg.AskOutboxOpen: msg.SayOutboxState, msg.AskOutboxCompare: msg.SayOutboxStored,
	msg.AskOutboxReplace: msg.SayOutboxState, msg.AskPost: msg.SayPostResult,
	msg.AskHistory: msg.SayHistory, msg.AskRooms: msg.SayRooms, msg.AskHello: msg.SayWelcome,
}

// Message is one ChatReply (CH-007).
func (c *Client) Message(b []byte) {
	r, err := msg.ReadChatReply(b)
	switch {
	case err != nil: // CH-001
		c.abort(code.MessageMalformed, "a reply does not parse")
		return
	case r.Body == 0:
		return
	case !r.Valid():
		c.abort(code.MessageMalformed, "a reply breaks a rule")
		return
	}
	switch r.Body {
	case msg.SayMessage, msg.SayGap, msg.SayCaughtUp:
		if r.RequestID != 0 || !c.feed.take(r) {
			c.abort(code.MessageMalformed, "pushed without a subscription")
		}
		return
	case msg.SayMark, msg.SayTyping, msg.SayPresence, msg.SayRoomGap:
		return // nobody here asked to be told
	}
	request, known := c.asked[r.RequestID]
	if !known || r.Body != msg.SayRefusal && r.Body != answers[request.kind] {
		c.abort(code.MessageMalformed, "an answer to nothing that was asked")
		return
	}
	delete(c.asked, r.RequestID)
	c.answered(request, r)
}

func (c *Client) answered(q request, r msg.ChatReply) {
	if r.Body == msg.SayRefusal && q.kind <= msg.AskPost { // CH-028
		reason := code.Known(r.Refusal)
		c.abort(reason, "the host refused what concerns the outbox")
		return
	}
	q.done(r)
}
