package session

import (
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/path"
	"clawchat/transport"
)

// Times of chapter 5.8.
const (
	pingIdle = 20 * time.Second
	pathDead = 45 * time.Second
)

// States of a path as the table of 5.2 has them.
const (
	awaitHello = iota
	attaching
	attached
)

// link is a path with what the session knows of it. All but the two goroutines at its
// end belongs to the loop.
type link struct {
	path    *path.Path
	state   int
	through uint64        // what our Attach said
	control [][]byte      // frames without numbers, sent ahead of Data
	out     chan packet   // to the writer
	ended   chan struct{} // the writer has come to its end
	busy    bool          // the writer has something
	gone    bool          // nothing more is taken from it or sent on it
	heard   time.Time
	pinged  time.Time
	since   time.Time // attached since
	worn    bool
	pingID  uint64
	pong    func(id uint64) // who asked for a Pong
}

// packet is what the writer is told: frames for one record, or the end of the path.
type packet struct {
	frames    [][]byte
	end       bool
	code      code.Code
	resumable bool
}

func (s *Session) newLink(p *path.Path) *link {
	now := time.Now()
	l := &link{path: p, out: make(chan packet, 2), ended: make(chan struct{}), heard: now, pinged: now}
	go s.read(l)
	go s.write(l)
	return l
}

func (s *Session) read(l *link) {
	for {
		frames, err := l.path.Read()
		worn := l.path.WornReceive()
		if !s.post(func() { s.record(l, frames, err, worn) }) || err != nil {
			return // the loop, or the end of the path, cuts the connection
		}
	}
}

func (s *Session) write(l *link) {
	defer close(l.ended)
	for p := range l.out {
		if p.end {
			l.path.End(p.code, p.resumable)
			return
		}
		err := l.path.Write(p.frames)
		worn := l.path.WornSend()
		s.post(func() {
			l.busy = false
			l.worn = l.worn || worn
			if err != nil {
				s.pathEnded(l, err)
			}
		})
	}
}

// frame queues one frame without a number.
func (l *link) frame(f msg.Frame) { l.control = append(l.control, f.Bytes()) }

// end sends Close as the last frame (SE-080, ER-004).
func (l *link) end(c code.Code, resumable bool) {
	if !l.gone {
		l.gone = true
		l.out <- packet{end: true, code: c, resumable: resumable}
	}
}

// drop ends the path without a word.
func (l *link) drop() {
	if !l.gone {
		l.gone = true
		close(l.out)
	}
	l.path.Cut()
}

// leave ends the path after the host's Close: nothing more is sent (SE-080).
func (l *link) leave() {
	if !l.gone {
		l.gone = true
		close(l.out)
	}
	go l.path.Leave()
}

// allowed is the table of 5.2 for a device's path on the client's side (SE-004, HS-020).
func (l *link) allowed(body int) bool {
	if l.state == awaitHello {
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
