package session

import (
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/transport"
)

// Times of chapter 5.8.
const (
	pingIdle = 20 * time.Second
	pathDead = 45 * time.Second
)

// States of a path as the table of 5.2 has them, once the host has said Hello.
const (
	unattached = iota
	attaching
	attached
)

// carrier takes to a path what the loop wants on it, and does not wait.
type carrier interface {
	record(frames [][]byte)          // one record; written is called when it is out
	end(c code.Code, resumable bool) // Close, and the end of the path
	leave()                          // the end of a path that the host has closed
	cut()                            // the end without a word
	over() <-chan struct{}           // closed when the writer has come to its end
}

// link is a path with what the session knows of it. All of it belongs to the loop.
type link struct {
	carrier
	port    uint32
	epoch   uint64
	marked  bool // a frame has come (EN-010)
	greeted bool // the host has said Hello
	state   int
	through uint64    // what our Attach said
	control [][]byte  // frames without numbers, sent ahead of Data
	busy    bool      // the writer has something
	gone    bool      // nothing more is taken from it or sent on it
	worn    bool      // its records have reached their soft bound (RC-004)
	opened  time.Time // since message 3
	heard   time.Time // the last record that opened
	pinged  time.Time // the last Ping, or record
	since   time.Time // attached since
	pingID  uint64
	pong    func(id uint64) // who asked for a Pong
}

func (s *Session) newLink(c carrier) *link {
	now := s.config.Now()
	return &link{carrier: c, opened: now, heard: now, pinged: now}
}

// frame queues one frame without a number.
func (l *link) frame(f msg.Frame) { l.control = append(l.control, f.Bytes()) }

// close sends Close as the last frame (SE-080, ER-004).
func (l *link) close(c code.Code, resumable bool) {
	if !l.gone {
		l.gone = true
		l.end(c, resumable)
	}
}

// drop ends the path without a word.
func (l *link) drop() {
	if !l.gone {
		l.gone = true
		l.cut()
	}
}

// quit ends the path after the host's Close: nothing more is sent (SE-080).
func (l *link) quit() {
	if !l.gone {
		l.gone = true
		l.leave()
	}
}

// written is told by the carrier when a record is out.
func (s *Session) written(l *link, worn bool, err error) {
	l.busy = false
	l.worn = l.worn || worn
	if err != nil {
		s.pathEnded(l, err)
	}
}

// allowed is the table of 5.2 for a device's path on the client's side (SE-004, HS-020).
func (l *link) allowed(body int) bool {
	if !l.greeted {
		return body == msg.BodyHello
	}
	switch body {
	case msg.BodyPing, msg.BodyPong, msg.BodyClose, msg.BodyRotationNotice:
		return true
	case msg.BodyAttached:
		return l.state == attaching
	case msg.BodyData, msg.BodyAck, msg.BodyCredit:
		return l.state == attached
	}
	return false
}

// row gathers frames for one record (RC-014).
type row struct {
	frames [][]byte
	size   int
}

func (r *row) room() int { return transport.PlaintextBytesMax - r.size }

// add takes a frame if it fits.
func (r *row) add(frame []byte) bool {
	n := transport.RowBytes(frame)
	if n > r.room() {
		return false
	}
	r.frames = append(r.frames, frame)
	r.size += n
	return true
}
