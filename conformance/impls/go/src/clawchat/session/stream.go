package session

import (
	"clawchat/code"
	"clawchat/msg"
)

// Bounds of chapters 5.5 to 5.7.
const (
	payloadMax    = 65000
	dataCost      = 32
	streamCredit  = 8192
	windowMax     = 262144
	retainedMax   = 16777216
	streamsMax    = 128
	smallestPiece = 1024 // a piece is not cut smaller than this to use up credit
)

// Reader takes what comes on a stream. Its methods are called by the session's loop.
type Reader interface {
	// Message is called for each whole message.
	Message(b []byte)
	// Ended is called once, when the stream is over or its session is: with the code
	// of the end, or with SESSION_LOST.
	Ended(c code.Code)
}

// Stream is an ordered row of messages of one service in both directions.
type Stream struct {
	session *Session
	id      uint32
	service string
	reader  Reader
	largest int // longest message taken

	queue     [][]byte // messages to send
	offset    int      // of the first message, how much has been sent
	opened    bool
	end       *code.Code // our own end, to be sent behind the queue
	endSent   bool
	endTaken  bool
	over      bool   // the reader was told
	sent      uint64 // counted against limit
	sendLimit uint64
	got       uint64 // counted against granted
	granted   uint64
	heard     bool // a Data frame of the stream was taken (SE-056)
	partial   []byte
}

// Send queues a message of at least one byte.
func (s *Stream) Send(message []byte) {
	if s.end == nil {
		s.queue = append(s.queue, message)
	}
}

// End ends this direction behind what is queued.
func (s *Stream) End() {
	if s.end == nil {
		s.end = new(code.Code)
	}
}

// ID is the number of the stream.
func (s *Stream) ID() uint32 { return s.id }

// Abort ends the stream with a code: what is queued and what is still to come is dropped.
func (s *Stream) Abort(c code.Code) {
	if s.end != nil {
		return
	}
	s.end = &c
	s.queue, s.offset, s.partial = nil, 0, nil
	s.tell(c)
}

func (s *Stream) tell(c code.Code) {
	if !s.over {
		s.over = true
		s.reader.Ended(c)
	}
}

func (s *Stream) closed() bool { return s.endSent && s.endTaken }

// next makes the next Data frame that credit and retention allow, without its number
// (SE-030, SE-050, SE-051, SE-061).
func (s *Stream) next(room int) (msg.Data, int, bool) {
	d := msg.Data{Stream: s.id}
	if !s.opened {
		d.Open = &s.service
	}
	if len(s.queue) == 0 {
		if s.end == nil || s.endSent || s.session.retainedBytes+dataCost > retainedMax {
			return d, 0, false
		}
		v := uint32(*s.end)
		d.End = &v
		s.opened, s.endSent = true, true
		return d, dataCost, true // an end without payload counts nothing against credit
	}
	rest := s.queue[0][s.offset:]
	most := min(payloadMax, room, int(s.sendLimit-s.sent)-dataCost, retainedMax-s.session.retainedBytes-dataCost)
	if most < len(rest) && most < smallestPiece {
		return d, 0, false
	}
	if most < len(rest) {
		d.Payload, d.More = rest[:most], true
		s.offset += most
	} else {
		d.Payload = rest
		s.queue, s.offset = s.queue[1:], 0
		if len(s.queue) == 0 && s.end != nil { // the end rides on the last piece
			v := uint32(*s.end)
			d.End, s.endSent = &v, true
		}
	}
	s.opened = true
	cost := len(d.Payload) + dataCost
	s.sent += uint64(cost)
	return d, cost, true
}

// take handles a Data frame of the stream whose number was right.
func (s *Stream) take(d msg.Data) error {
	if s.endTaken {
		return code.New(code.StreamInvalid, "data behind the end of stream %d", s.id)
	}
	s.heard = true
	if !(d.End != nil && len(d.Payload) == 0) {
		s.got += uint64(len(d.Payload) + dataCost)
		if s.got > s.granted { // SE-052
			return code.New(code.CreditExceeded, "stream %d", s.id)
		}
	}
	if s.end == nil {
		s.gather(d)
	}
	if d.End != nil {
		s.ended(code.Known(*d.End))
	}
	return nil
}

// gather puts the pieces of a message together and hands it over.
func (s *Stream) gather(d msg.Data) {
	if len(s.partial)+len(d.Payload) > s.largest { // CH-001
		s.Abort(code.MessageTooLarge)
		return
	}
	s.partial = append(s.partial, d.Payload...)
	aborted := d.End != nil && *d.End != 0
	if !d.More && len(s.partial) > 0 && !aborted {
		whole := s.partial
		s.partial = nil
		s.reader.Message(whole)
	}
}

// ended is the other side's StreamEnd. With a code, this direction ends at once
// (SE-043); without, the reader ends it when it likes (SE-044).
func (s *Stream) ended(c code.Code) {
	s.endTaken = true
	if s.end == nil && c != code.Unspecified {
		s.end = &c
	}
	if c != code.Unspecified {
		s.queue, s.offset = nil, 0
	}
	s.tell(c)
}

// grant raises the limit of what may come when the sender has less than half a window
// left, and says whether a Credit is due (SE-053, SE-054).
func (s *Stream) grant() bool {
	window := min(streamCredit+2*int(s.got), windowMax)
	if s.session.config.Stalled || s.endTaken || !s.heard || int(s.granted-s.got) >= window/2 {
		return false
	}
	s.granted = s.got + uint64(window)
	return true
}

func min(a int, more ...int) int {
	for _, b := range more {
		if b < a {
			a = b
		}
	}
	return a
}
