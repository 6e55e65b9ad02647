package session

import (
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/transport"
)

// Acknowledgements (SE-034).
const (
	ackDelay = 20 * time.Millisecond // at most ACK_DELAY_MS_MAX
	ackBytes = 65536
)

// record handles what the reader of a path brought.
func (s *Session) record(l *link, frames [][]byte, err error, worn bool) {
	if l.gone {
		return
	}
	l.worn = l.worn || worn
	switch code.Of(err) {
	case code.Unspecified:
		if err != nil {
			s.pathEnded(l, err)
			return
		}
	default:
		s.fault(l, err)
		return
	}
	l.heard = s.config.Now()
	l.pinged = l.heard
	for _, b := range frames { // SE-005
		err := s.mark(l)
		if err == nil {
			var f msg.Frame
			if f, err = transport.Judge(b); err == nil {
				err = s.handle(l, f)
			}
		}
		if err != nil {
			s.fault(l, err)
		}
		if err != nil || l.gone {
			return
		}
	}
}

// mark tells the first frame of a path, whatever frame it is (EN-010).
func (s *Session) mark(l *link) error {
	if l.marked {
		return nil
	}
	l.marked = true
	return s.config.Heard()
}

func (s *Session) handle(l *link, f msg.Frame) error {
	if f.Body == 0 { // SE-001
		return nil
	}
	if !l.allowed(f.Body) {
		return code.New(code.FrameUnexpected, "body %d in state %d", f.Body, l.state)
	}
	switch f.Body {
	case msg.BodyHello: // HS-021: the lower of both versions is 1
		l.greeted = true
	case msg.BodyAttached:
		return s.attachedOn(l, f.Attached)
	case msg.BodyData:
		return s.data(f.Data)
	case msg.BodyAck:
		return s.ack(f.Ack)
	case msg.BodyCredit:
		return s.credited(f.Credit)
	case msg.BodyPing: // SE-072
		l.frame(msg.Frame{Body: msg.BodyPong, Pong: f.Ping})
	case msg.BodyPong:
		if l.pong != nil {
			l.pong(f.Pong)
		}
	case msg.BodyRotationNotice:
		s.plan(s.config.Notice(f.Notice, l.port, l.epoch))
	case msg.BodyClose:
		s.closed(l, f.Close)
	}
	return nil
}

// data takes a numbered frame (SE-031, SE-032, SE-042).
func (s *Session) data(d msg.Data) error {
	if d.Sequence <= s.taken {
		return nil
	}
	if d.Sequence > s.taken+1 {
		return code.New(code.SequenceGap, "%d after %d", d.Sequence, s.taken)
	}
	st, err := s.streamOf(d)
	if err != nil {
		return err
	}
	s.taken = d.Sequence
	s.ackPending += len(d.Payload) + dataCost
	if s.ackDue.IsZero() {
		s.ackDue = s.config.Now().Add(ackDelay)
	}
	if s.ackPending >= ackBytes {
		s.ackDue = s.config.Now()
	}
	if err := st.take(d); err != nil {
		return err
	}
	s.tidy(st)
	return nil
}

// streamOf finds the stream of a frame, or opens it. A stream of a service that is not
// known is ended with SERVICE_UNKNOWN (5.5, SE-040, SE-042).
func (s *Session) streamOf(d msg.Data) (*Stream, error) {
	st := s.streams[d.Stream]
	if st != nil && (d.Open == nil) {
		return st, nil
	}
	if st != nil || d.Open == nil || d.Stream != s.nextHost {
		return nil, code.New(code.StreamInvalid, "stream %d is not open, or opened out of turn", d.Stream)
	}
	if s.open(0) >= streamsMax {
		return nil, code.New(code.StreamLimit, "too many streams of the host")
	}
	if len(d.Payload)+dataCost > streamCredit { // SE-052, before anybody hears of the stream
		return nil, code.New(code.CreditExceeded, "stream %d", d.Stream)
	}
	s.nextHost += 2
	st = s.stream(d.Stream)
	st.opened = true
	st.reader, st.largest = s.config.Accept(st, *d.Open)
	if st.reader == nil {
		st.reader = nobody{}
		st.Abort(code.ServiceUnknown)
	}
	return st, nil
}

// nobody reads a stream that nobody wants.
type nobody struct{}

func (nobody) Message([]byte)  {}
func (nobody) Ended(code.Code) {}

// tidy forgets a stream that both sides have ended.
func (s *Session) tidy(st *Stream) {
	if !st.closed() {
		return
	}
	delete(s.streams, st.id)
	for i, other := range s.turn {
		if other == st {
			s.turn = append(s.turn[:i:i], s.turn[i+1:]...)
			return
		}
	}
}

// ack is SE-035.
func (s *Session) ack(through uint64) error {
	if through > s.given {
		return code.New(code.AckInvalid, "%d acknowledged, %d given", through, s.given)
	}
	s.acknowledged(through)
	return nil
}

func (s *Session) acknowledged(through uint64) {
	if through <= s.acked {
		return
	}
	s.acked = through
	for len(s.retained) > 0 && s.retained[0].number <= through {
		s.retainedBytes -= s.retained[0].cost
		s.retained = s.retained[1:]
		if s.resend > 0 {
			s.resend--
		}
	}
}

// credited is SE-055 and SE-056.
func (s *Session) credited(c msg.Credit) error {
	st := s.streams[c.Stream]
	switch {
	case st != nil:
		if c.Limit > st.sendLimit {
			st.sendLimit = c.Limit
		}
	case c.Stream%2 == 1 && c.Stream >= s.nextStream, c.Stream%2 == 0 && c.Stream >= s.nextHost:
		return code.New(code.StreamInvalid, "credit for stream %d, which never was", c.Stream)
	}
	return nil
}

// flush gives each writer that is idle one record with all that is ready (RC-014).
func (s *Session) flush() {
	if l := s.candidate; l != nil {
		s.flushLink(l)
	}
	if l := s.current; l != nil {
		for _, st := range s.turn {
			if st.grant() {
				s.credit(l, st)
			}
		}
		s.flushLink(l)
	}
}

func (s *Session) flushLink(l *link) {
	if l.busy || l.gone {
		return
	}
	var r row
	for len(l.control) > 0 && r.add(l.control[0]) {
		l.control = l.control[1:]
	}
	if l == s.current && l.state == attached {
		s.addAck(&r)
		s.addData(&r)
		s.lateAck(&r)
	}
	if len(r.frames) > 0 {
		l.busy = true
		l.record(r.frames)
	}
}

// addAck adds an Ack that is due (SE-033, SE-034).
func (s *Session) addAck(r *row) {
	if s.taken > s.ackSaid && !s.ackDue.After(s.config.Now()) {
		s.sayAck(r)
	}
}

// lateAck lets an Ack ride in a record that is sent anyway.
func (s *Session) lateAck(r *row) {
	if s.taken > s.ackSaid && len(r.frames) > 0 {
		s.sayAck(r)
	}
}

func (s *Session) sayAck(r *row) {
	if r.add(msg.Frame{Body: msg.BodyAck, Ack: s.taken}.Bytes()) {
		s.ackSaid, s.ackPending, s.ackDue = s.taken, 0, time.Time{}
	}
}

// addData adds what must be sent again, and then what is new, stream by stream
// (SE-017, SE-030, SE-045).
func (s *Session) addData(r *row) {
	for s.resend < len(s.retained) {
		if !r.add(s.retained[s.resend].frame) {
			return
		}
		s.resend++
	}
	for idle := 0; idle < len(s.turn); {
		st := s.turn[0]
		const overhead = 128 // more than number, stream, lengths and the name of a service
		room := r.room() - overhead
		if room <= 0 {
			return
		}
		s.turn = append(s.turn[1:len(s.turn):len(s.turn)], st)
		d, cost, ok := st.next(room)
		if !ok {
			idle++
			continue
		}
		idle = 0
		s.given++
		d.Sequence = s.given
		frame := msg.Frame{Body: msg.BodyData, Data: d}.Bytes()
		s.retained = append(s.retained, retained{s.given, frame, cost})
		s.retainedBytes += cost
		s.resend = len(s.retained)
		r.add(frame)
		s.tidy(st)
	}
}
