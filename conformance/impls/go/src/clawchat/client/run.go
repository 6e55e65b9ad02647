package client

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"sync"
	"time"

	"clawchat/chat"
	"clawchat/code"
	"clawchat/msg"
	"clawchat/session"
	"clawchat/state"
)

// command is a line of standard input.
type command struct {
	Do    string `json:"do"`
	Room  string `json:"room"`
	Text  string `json:"text"`
	Topic string `json:"topic"`
	After uint64 `json:"after"`
	Limit int    `json:"limit"`
	// Of the message that is replaced or taken back.
	Edits  uint64 `json:"edits"`
	Cursor uint64 `json:"cursor"`
}

// Printer writes JSON lines.
type Printer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewPrinter writes to w.
func NewPrinter(w io.Writer) *Printer { return &Printer{w: w} }

type line map[string]interface{}

// Print writes one line.
func (p *Printer) Print(l line) {
	b, err := json.Marshal(l)
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.w.Write(append(b, '\n'))
}

// Event is a line for what happens by itself.
func (p *Printer) Event(event string, err error) {
	l := line{"event": event}
	if err != nil {
		l["code"], l["detail"] = code.Of(err).String(), err.Error()
	}
	p.Print(l)
}

// Run enrols if need be, dials as the device, and serves commands until the input ends.
func (c *Client) Run(ctx context.Context, name string, in io.Reader, out *Printer) error {
	joining := c.file.State != state.Device
	if err := c.Enrol(ctx, name); err != nil {
		return err
	}
	if joining {
		out.Print(line{"enrolled": c.file.Name, "words": c.Words(), "device_id": hex.EncodeToString(c.DeviceID())})
	}
	if c.file.Outbox == nil {
		outbox, err := chat.NewOutbox()
		if err == nil {
			err = c.KeepOutbox(outbox)
		}
		if err != nil {
			return err
		}
	}
	do := &commands{out: out}
	do.chat = chat.New(c, out.Event, do.posted)
	do.session = session.Run(ctx, session.Config{
		Dial: c.Dial, Heard: c.Heard, Opened: do.chat.Opened, Settle: do.chat.Settle, Notice: c.Notice,
		Note: out.Event, Software: software,
		Accept: func(*session.Stream, string) (session.Reader, int) { return nil, 0 }, // hosts offer nothing yet
	})
	s := do.session
	go serve(in, do)
	<-s.Done()
	return s.Err()
}

// commands carries out the lines of standard input.
type commands struct {
	session *session.Session
	chat    *chat.Client
	out     *Printer
}

func serve(in io.Reader, c *commands) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var cmd command
		if len(lines.Bytes()) == 0 {
			continue
		}
		if err := json.Unmarshal(lines.Bytes(), &cmd); err != nil {
			c.out.Event("not understood", code.New(code.Usage, "%v", err))
			continue
		}
		if cmd.Do == "quit" {
			break
		}
		c.session.Do(func() { c.do(cmd) })
	}
	c.session.Quit()
}

func (c *commands) do(cmd command) {
	switch cmd.Do {
	case "post":
		c.chat.Post(msg.Content{Room: cmd.Room, Text: cmd.Text, SentAtMs: now(), Edits: cmd.Edits}, c.posted)
	case "create":
		act := msg.Act{Kind: msg.ActCreate, Topic: cmd.Topic}
		c.chat.Post(msg.Content{Room: cmd.Room, SentAtMs: now(), Act: act}, c.posted)
	case "delete":
		act := msg.Act{Kind: msg.ActDelete, Cursor: cmd.Cursor}
		c.chat.Post(msg.Content{Room: cmd.Room, SentAtMs: now(), Act: act}, c.posted)
	case "history":
		most := cmd.Limit
		if most <= 0 {
			most = int(^uint(0) >> 1)
		}
		c.chat.History(cmd.After, cmd.Room, most, c.history)
	case "search":
		c.chat.Search(cmd.Room, cmd.Text, c.history)
	case "rooms":
		c.chat.Rooms(func(rooms []string, err error) { c.answer("rooms", rooms, err) })
	case "subscribe":
		c.chat.Subscribe(cmd.After,
			func(m chat.Message) { c.out.Print(line{"message": shown(m)}) },
			func(after, first uint64) { c.out.Print(line{"gap": line{"after": after, "first": first}}) },
			func(cursor uint64) { c.out.Print(line{"caught_up": cursor}) })
	case "drop":
		c.session.Drop()
	case "ping":
		if !c.session.Ping(func(d time.Duration) { c.out.Print(line{"pong": d.Milliseconds()}) }) {
			c.out.Event("no path", code.New(code.HostUnreachable, "not attached"))
		}
	case "state":
		generation, sent, taken, attached := c.session.State()
		c.out.Print(line{"generation": generation, "sent": sent, "taken": taken, "attached": attached})
	default:
		c.out.Event("not understood", code.New(code.Usage, "%q", cmd.Do))
	}
}

func (c *commands) posted(r chat.Result) {
	switch {
	case r.Err != nil:
		c.out.Print(line{"posted": nil, "code": code.Of(r.Err).String(), "detail": r.Err.Error()})
	case r.Code != code.Unspecified:
		c.out.Print(line{"posted": r.Number, "code": r.Code.String()})
	default:
		c.out.Print(line{"posted": r.Number, "cursor": r.Cursor})
	}
}

func (c *commands) history(messages []chat.Message, err error) {
	list := []line{}
	for _, m := range messages {
		list = append(list, shown(m))
	}
	c.answer("history", list, err)
}

func (c *commands) answer(name string, value interface{}, err error) {
	l := line{name: value}
	if err != nil {
		l = line{name: nil, "code": code.Of(err).String()}
	}
	c.out.Print(l)
}

func shown(m chat.Message) line {
	l := line{
		"cursor": m.Cursor, "name": m.Name, "room": m.Parsed.Room, "text": m.Parsed.Text,
		"device_id": hex.EncodeToString(m.DeviceID), "stored_at_ms": m.StoredAtMs,
		"sent_at_ms": m.Parsed.SentAtMs, "message_id": hex.EncodeToString(m.Parsed.MessageID),
	}
	if m.Parsed.Edits != 0 && m.Parsed.Edits != m.Cursor {
		l["edits"] = m.Parsed.Edits
	}
	return l
}
