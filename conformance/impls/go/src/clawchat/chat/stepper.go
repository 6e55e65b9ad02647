package chat

import (
	"encoding/hex"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/pb"
	"clawchat/state"
)

// Stepper plays the outbox of a client without a session and with a disk that is as slow
// as its caller likes, for the vectors.
type Stepper struct {
	client *Client
	disk   *state.Outbox
	newID  []byte
	ids    []uint32 // of the requests about the outbox on this stream
	held   [][]byte // leave only when what the turn changed is durable
	turn   Turn
}

// Turn is what came of one step. Requests stand without their ids.
type Turn struct {
	Sends   [][]byte
	Keeps   *state.Outbox // what has to become durable
	Reports []Reported
	Aborts  code.Code // 0: none
}

// Reported is the result of a post.
type Reported struct {
	MessageID []byte
	Result
}

// NewStepper begins with an outbox on disk and, of each outbox that is drawn, the id.
func NewStepper(disk *state.Outbox, newID []byte) *Stepper {
	s := &Stepper{disk: disk, newID: newID}
	s.Crash()
	return s
}

// Outbox and KeepOutbox make it a Keeper.
func (s *Stepper) Outbox() *state.Outbox { return s.disk }

// KeepOutbox writes to the disk.
func (s *Stepper) KeepOutbox(o *state.Outbox) error {
	s.disk = o
	return nil
}

// Crash begins again with what is on the disk.
func (s *Stepper) Crash() {
	s.held = nil
	s.client = New(s, func(string, error) {}, func(Result) {})
	s.client.fresh = func() (*state.Outbox, error) {
		return &state.Outbox{ID: s.newID, Posts: []state.Post{}}, nil
	}
	for _, p := range s.disk.Posts {
		content, _ := msg.ReadContent(p.Content)
		id := content.MessageID
		s.client.waiting[hex.EncodeToString(id)] = func(r Result) {
			s.turn.Reports = append(s.turn.Reports, Reported{id, r})
		}
	}
}

// Opens gives the client a stream.
func (s *Stepper) Opens() {
	s.ids = nil
	s.client.carry(s)
	s.release()
}

// Ends takes it away.
func (s *Stepper) Ends() { s.client.stream, s.client.state = nil, closed }

// Reply is an answer to the request with this place on the stream, from 1.
func (s *Stepper) Reply(answers int, reply []byte) {
	var w pb.Writer
	id := w.Uint(1, uint64(s.ids[answers-1])).Done()
	s.client.Message(append(id, reply...))
	if len(s.client.unsettled) > 0 {
		s.turn.Keeps = s.client.box.Copy()
		return
	}
	s.release()
}

// Durable is when the disk has everything.
func (s *Stepper) Durable() {
	s.client.Settle()
	s.release()
}

func (s *Stepper) release() {
	s.turn.Sends = append(s.turn.Sends, s.held...)
	s.held = nil
}

// Turn gives what came of the step.
func (s *Stepper) Turn() Turn {
	t := s.turn
	s.turn = Turn{}
	return t
}

// Send takes a message of the client and keeps what is about the outbox.
func (s *Stepper) Send(message []byte) {
	var id uint32
	_ = pb.Walk(message, func(f pb.Field) error {
		if f.Number == 1 {
			return f.U32(&id)
		}
		if f.Number <= msg.AskPost {
			s.ids = append(s.ids, id)
			s.held = append(s.held, msg.ChatRequest(0, f.Number, f.Bytes))
		}
		return nil
	})
}

// End has nothing to end.
func (s *Stepper) End() {}

// Abort is the client ending the stream.
func (s *Stepper) Abort(reason code.Code) {
	s.turn.Aborts = reason
	s.Ends()
}
