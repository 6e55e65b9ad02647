package session

import (
	"math/rand"
	"time"

	"clawchat/code"
	"clawchat/msg"
)

// The back-off of chapters 5.9 and 7.4.
const (
	backoffMin = time.Second
	backoffMax = 60 * time.Second
)

// dialer counts failures and knows whether a dial is under way.
type dialer struct {
	under    bool
	failures int
	now      bool // the next dial does not wait
	lost     bool // the one dial after SESSION_LOST that does not wait (SE-082) is used up
}

// wait is full jitter below a bound that doubles (DI-032, SE-082).
func (d *dialer) wait() time.Duration {
	if d.failures == 0 {
		return 0
	}
	bound := backoffMax
	if d.failures < 7 {
		bound = min64(backoffMin<<uint(d.failures-1), backoffMax)
	}
	return time.Duration(rand.Int63n(int64(bound) + 1))
}

func min64(a, b time.Duration) time.Duration {
	if a < b {
		return a
	}
	return b
}

// dial opens a path in the background, after the wait that is due, and attaches.
func (s *Session) dial() {
	if s.config.Dial == nil || s.dialer.under || s.candidate != nil || s.ctx.Err() != nil {
		return
	}
	s.dialer.under = true
	wait, failures := s.dialer.wait(), s.dialer.failures
	if s.dialer.now {
		wait, s.dialer.now = 0, false
	}
	go func() {
		select {
		case <-time.After(wait):
		case <-s.ctx.Done():
			return
		}
		p, err := s.config.Dial(s.ctx, failures)
		if !s.post(func() {
			s.dialer.under = false
			if err != nil {
				s.dialer.failures++
				s.config.Note("dial failed", err)
				if s.current == nil {
					s.dial()
				}
				return
			}
			l := s.carry(p)
			s.hello(l)
			s.attach(l)
		}) && p != nil {
			p.Cut()
		}
	}()
}

// move opens a new path beside the one that has the session, which it leaves only when
// Attached has come (SE-016).
func (s *Session) move(from *link) {
	if s.current == from && s.candidate == nil && !s.dialer.under {
		s.dialer.now = true
		s.dial()
	}
}

// hello is the first frame on a path (HS-020).
func (s *Session) hello(l *link) {
	l.frame(msg.Frame{Body: msg.BodyHello, Hello: msg.Hello{ProtocolVersion: 1, Software: s.config.Software}})
}

// attach sends Attach on a new path (SE-010, SE-011). Until Attached comes, the older
// path is kept (SE-016).
func (s *Session) attach(l *link) {
	if s.generation == 0 {
		s.id = s.config.NewID()
	}
	s.candidate = l
	l.state = attaching
	s.generation++
	l.through = s.taken
	l.frame(msg.Frame{Body: msg.BodyAttach, Attach: msg.Attach{
		SessionID: s.id, Generation: s.generation, ReceivedThrough: s.taken, Open: !s.confirmed,
	}})
}

// attachedOn moves the session to a path (SE-014, SE-016, SE-017, SE-018).
func (s *Session) attachedOn(l *link, a msg.Attached) error {
	if a.Generation != s.generation {
		return code.New(code.FrameUnexpected, "Attached for generation %d instead of %d", a.Generation, s.generation)
	}
	if a.ReceivedThrough > s.given {
		return code.New(code.AckInvalid, "%d acknowledged, %d given", a.ReceivedThrough, s.given)
	}
	if a.ReceivedThrough < s.acked {
		return code.New(code.SessionLost, "%d acknowledged after %d", a.ReceivedThrough, s.acked)
	}
	fresh := !s.confirmed
	s.confirmed = true
	if old := s.current; old != nil {
		old.close(code.Unspecified, true)
	}
	s.current, s.candidate = l, nil
	l.state, l.since = attached, s.config.Now()
	s.acknowledged(a.ReceivedThrough)
	s.resend = 0
	s.ackSaid, s.ackDue = l.through, time.Time{}
	if s.taken > l.through {
		s.ackDue = s.config.Now()
	}
	for _, st := range s.turn {
		if st.granted > streamCredit && !st.endTaken {
			s.credit(l, st)
		}
	}
	s.config.Note("attached", nil)
	if fresh {
		s.config.Opened(s)
	}
	return nil
}

func (s *Session) credit(l *link, st *Stream) {
	l.frame(msg.Frame{Body: msg.BodyCredit, Credit: msg.Credit{Stream: st.id, Limit: st.granted}})
}

// pathEnded is a path that ended without Close: the session is kept (SE-081, RC-003).
func (s *Session) pathEnded(l *link, err error) {
	l.drop()
	if s.forget(l) {
		s.config.Note("path ended", err)
		s.again(l)
	}
}

// forget takes a path out of the session and says whether it was in it.
func (s *Session) forget(l *link) bool {
	switch l {
	case s.current:
		s.current = nil
	case s.candidate:
		s.candidate = nil
	default:
		return false
	}
	return true
}

// again dials because a path has ended. One that was not attached for long counts as a
// failed dial; the back-off begins anew after one that was (SE-082).
func (s *Session) again(l *link) {
	if s.candidate != nil {
		return // the session is moving anyway
	}
	if !l.since.IsZero() && s.config.Now().Sub(l.since) >= backoffMax {
		s.dialer.failures, s.dialer.lost = 0, false
	} else {
		s.dialer.failures++
	}
	if s.current == nil {
		s.dial()
	}
}

// closed is a Close of the host: the table of 5.9.
func (s *Session) closed(l *link, c msg.Close) {
	reason := code.Known(c.Code)
	was := l == s.current
	l.quit()
	if !s.forget(l) {
		return
	}
	err := code.New(reason, "the host ended the path")
	s.config.Note("path ended", err)
	switch reason {
	case code.SessionReplaced, code.DeviceRevoked, code.VersionUnsupported:
		s.giveUp(err, true)
	case code.SessionLost:
		s.giveUp(err, false)
		s.dialer.now, s.dialer.lost = !s.dialer.lost, true
	case code.GenerationStale, code.NotPermitted:
	default:
		if !c.Resumable && was { // a path that was not attached ends alone
			s.giveUp(err, false)
		}
	}
	s.again(l)
}

// fault is a fault of the host that this side found: it ends the path, and with it the
// session when the path had it (5.9).
func (s *Session) fault(l *link, err error) {
	c := code.Of(err)
	was := l == s.current
	s.config.Note("fault of the host", err)
	if c == code.TransportFailed { // RC-003
		s.pathEnded(l, err)
		return
	}
	resumable := c == code.TransportExhausted
	l.close(c, resumable)
	if !s.forget(l) {
		return
	}
	// SE-014 is about the session although the path is not attached yet.
	if !resumable && (was || c == code.AckInvalid || c == code.SessionLost) {
		s.giveUp(err, c == code.VersionUnsupported)
	}
	s.again(l)
}

// clocks does what is due: pings, dead paths (SE-070, SE-071).
func (s *Session) clocks(now time.Time) {
	for _, l := range []*link{s.current, s.candidate} {
		if l == nil {
			continue
		}
		if now.Sub(l.heard) >= pathDead {
			s.pathEnded(l, code.New(code.PathDead, "nothing was heard"))
		} else if now.Sub(l.heard) >= pingIdle && now.Sub(l.pinged) >= pingIdle {
			s.ping(l, now)
		}
	}
	if l := s.current; l != nil && l.worn { // RC-004
		s.dial()
	}
}

func (s *Session) ping(l *link, now time.Time) {
	l.pinged = now
	l.pingID++
	l.frame(msg.Frame{Body: msg.BodyPing, Ping: l.pingID})
}

// deadline is when the loop must wake up at the latest.
func (s *Session) deadline() time.Time {
	next := time.Now().Add(time.Second)
	if s.current != nil && !s.ackDue.IsZero() && s.ackDue.Before(next) && !s.current.busy {
		next = s.ackDue
	}
	return next
}
