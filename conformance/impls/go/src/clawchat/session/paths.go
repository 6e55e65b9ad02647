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

// dialer knows whether a dial is under way, and how long the next one waits.
type dialer struct {
	under    bool
	failures int  // failed dials in a row, and what counts as one (SE-082)
	lost     bool // the last path ended with Close{SESSION_LOST}
	next     wait // what the end of the last path asks for
}

type wait int

const (
	backOff wait = iota // as after a failed dial
	briefly             // below DIAL_BACKOFF_MS_MIN
	atOnce
)

// pause is the wait before a dial: full jitter below its bound (DI-032, SE-082).
func (d *dialer) pause() time.Duration {
	bound := d.bound()
	d.next = backOff
	if bound == 0 {
		return 0
	}
	return time.Duration(rand.Int63n(int64(bound)))
}

func (d *dialer) bound() time.Duration {
	switch {
	case d.next == atOnce, d.next == backOff && d.failures == 0:
		return 0
	case d.next == backOff:
		return BackOff(d.failures)
	}
	return backoffMin
}

// BackOff is the bound of the wait after so many failures in a row.
func BackOff(failures int) time.Duration {
	if failures >= 7 {
		return backoffMax
	}
	return backoffMin << uint(failures-1)
}

// dial opens a path in the background, after the wait that is due, and attaches.
func (s *Session) dial() {
	if s.config.Dial == nil || s.dialer.under || s.candidate != nil || s.ctx.Err() != nil {
		return
	}
	s.dialer.under = true
	wait, failures := s.dialer.pause(), s.dialer.failures
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
				s.dialMore()
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

// dialMore dials when the session has no path, or is to move (RT-152).
func (s *Session) dialMore() {
	if s.current == nil || s.moving {
		s.dial()
	}
}

// plan carries out what a notice leads to. The older path is left only when Attached has
// come on the new one (RT-151, SE-016).
func (s *Session) plan(p Plan) {
	if !p.Moves && !p.Forgets {
		return
	}
	s.moves++
	s.moving = false
	if p.Moves {
		plan := s.moves
		time.AfterFunc(p.Wait, func() { s.post(func() { s.move(plan) }) })
	}
}

func (s *Session) move(plan int) {
	if plan == s.moves && s.current != nil {
		s.moving = true
		s.dialer.next = atOnce
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
	if a.ReceivedThrough > s.given { // one that is lower than before is no loss
		return code.New(code.AckInvalid, "%d acknowledged, %d given", a.ReceivedThrough, s.given)
	}
	fresh := !s.confirmed
	s.confirmed = true
	if old := s.current; old != nil {
		old.close(code.Unspecified, true)
	}
	s.current, s.candidate = l, nil
	s.moving = false
	s.moves++
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
		s.dialer.lost = false
		s.again(l, false)
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

// again dials because a path has ended, after the wait of SE-082: as after a failed dial
// when the path is to blame or was never attached, briefly when it was so for a short time.
func (s *Session) again(l *link, blamed bool) {
	wasAttached := !l.since.IsZero()
	long := wasAttached && s.config.Now().Sub(l.since) >= backoffMax
	if long {
		s.dialer.failures = 0
	}
	switch {
	case blamed || !wasAttached:
		s.dialer.failures++
		s.dialer.next = backOff
	case long:
		s.dialer.next = atOnce
	default:
		s.dialer.next = briefly
	}
	s.dialMore()
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
	blamed, lost := true, s.dialer.lost
	s.dialer.lost = reason == code.SessionLost
	if !c.Resumable { // otherwise the session is kept whatever the code (SE-081)
		s.closedFor(reason, err, was)
	}
	switch reason {
	case code.SessionLost:
		if !lost { // the first in a row
			s.dialer.next = atOnce
			s.dialMore()
			return
		}
	case code.PathSuperseded, code.TransportExhausted:
		blamed = false
	}
	s.again(l, blamed)
}

// closedFor gives the session up where a Close that is not resumable says so.
func (s *Session) closedFor(reason code.Code, err error, was bool) {
	switch reason {
	case code.SessionReplaced, code.DeviceRevoked, code.VersionUnsupported:
		s.giveUp(err, true)
	case code.SessionLost, code.AckInvalid: // also when they answer an Attach
		s.giveUp(err, false)
	case code.GenerationStale:
	default:
		if was { // a path that was not attached ends alone
			s.giveUp(err, reason == code.NotPermitted)
		}
	}
}

// fault is a fault of the host that this side found: it ends the path, and with it the
// session when the path had it (5.9), or when it is one of SE-014.
func (s *Session) fault(l *link, err error) {
	c := code.Of(err)
	was := l == s.current
	s.config.Note("fault of the host", err)
	s.dialer.lost = false
	if c == code.TransportFailed { // RC-003, HS-006
		l.drop()
		if s.forget(l) {
			s.again(l, false)
		}
		return
	}
	if c == code.AckInvalid && (was || l == s.candidate) {
		s.giveUpWith(c, err, false) // on this path and on the one that the session is on
		s.again(l, true)
		return
	}
	resumable := c == code.TransportExhausted || c == code.Timeout
	l.close(c, resumable)
	if !s.forget(l) {
		return
	}
	if !resumable && was {
		s.giveUp(err, c == code.VersionUnsupported)
	}
	s.again(l, !resumable)
}

// clocks does what is due: pings, dead paths (SE-070, SE-071), paths that are not answered (SE-008).
func (s *Session) clocks(now time.Time) {
	for _, l := range []*link{s.current, s.candidate} {
		if l == nil {
			continue
		}
		if now.Sub(l.heard) >= pathDead {
			s.pathEnded(l, code.New(code.PathDead, "nothing was heard"))
		} else if l == s.candidate && now.Sub(l.opened) >= pathDead { // SE-008
			s.fault(l, code.New(code.Timeout, "no Attached came"))
		} else if now.Sub(l.heard) >= pingIdle && !l.pinged.After(l.heard) { // one for one silence
			s.ping(l, now)
		}
	}
	if l := s.current; l != nil && l.worn && !s.moving { // RC-004
		s.moving = true
		s.dialer.next = atOnce
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
