// Package session keeps a session of numbered streams with a host alive over paths that
// come and go (chapter 5). One goroutine, the loop, owns all of its state.
package session

import (
	"context"
	"crypto/rand"
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/path"
)

// Config is what a session needs from the program around it. All functions but Dial
// are called by the loop.
type Config struct {
	// Dial opens a path as the device. failures counts the dials before it that failed.
	Dial func(ctx context.Context, failures int) (*path.Path, error)
	// Accept takes a stream that the host opens, and says how long a message may be;
	// nil refuses it.
	Accept func(st *Stream, service string) (Reader, int)
	// Heard is called for the Hello of each path, the first frame of the host.
	Heard func() error
	// Opened is called when a new session is there and streams can be opened.
	Opened func(*Session)
	// Notice is called for a notice of the host's moves that came on a path of this port
	// and epoch.
	Notice func(n msg.RotationNotice, port uint32, epoch uint64) Plan
	// Note is told what happens, for a person.
	Note func(event string, err error)
	// Stalled says that the application takes nothing: no stream is granted more.
	Stalled bool
	// Settle is called at the end of each turn, before anything of it is sent.
	Settle   func()
	Software string
	Now      func() time.Time // nil for the system's clock
	NewID    func() []byte    // nil for a random id
}

// Plan is what a notice of the host's moves leads to.
type Plan struct {
	Moves   bool // open a new path after Wait
	Wait    time.Duration
	Forgets bool // take a planned move back
}

// Session is a session and its successors: when the host has lost it, another one is
// opened in its place.
type Session struct {
	config Config
	ctx    context.Context
	stop   context.CancelFunc
	events chan func()
	done   chan struct{} // nothing is taken any more
	over   chan struct{} // and Close was sent
	result error

	id         []byte // drawn with the first Attach
	generation uint64
	confirmed  bool // an Attached was received for this id
	streams    map[uint32]*Stream
	turn       []*Stream // the order in which streams take turns (SE-045)
	nextStream uint32    // of this side
	nextHost   uint32    // of the host

	given         uint64 // highest number given
	acked         uint64 // highest number acknowledged to us
	retained      []retained
	retainedBytes int
	resend        int // of retained, the first that must be sent on the current path

	taken      uint64 // highest number taken
	ackSaid    uint64 // what our last Ack said
	ackDue     time.Time
	ackPending int // bytes taken since then

	current   *link // the path that has the session
	candidate *link // a newer one, before Attached
	dialer    dialer
	moves     int  // counts plans, so that an older one can be told
	moving    bool // a move is due, and goes on until it has succeeded
}

// retained is a numbered frame that is kept until it is acknowledged (SE-060).
type retained struct {
	number uint64
	frame  []byte
	cost   int
}

// fresh makes a session that nothing drives yet.
func fresh(config Config) *Session {
	s := &Session{config: config, events: make(chan func(), 64), done: make(chan struct{}), over: make(chan struct{})}
	if s.config.Now == nil {
		s.config.Now = time.Now
	}
	if s.config.NewID == nil {
		s.config.NewID = randomID
	}
	s.reset()
	return s
}

func randomID() []byte {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		panic(err)
	}
	return id
}

// Run keeps the session until the context ends, or a code says that the client stops.
func Run(ctx context.Context, config Config) *Session {
	s := fresh(config)
	s.ctx, s.stop = context.WithCancel(ctx)
	go s.loop()
	return s
}

// Do runs f in the loop, with everything that belongs to it.
func (s *Session) Do(f func()) bool { return s.post(f) }

// Done is closed when the session has ended; Err says why.
func (s *Session) Done() <-chan struct{} { return s.over }

// Err is the reason after Done.
func (s *Session) Err() error { return s.result }

func (s *Session) post(f func()) bool {
	select {
	case s.events <- f:
		return true
	case <-s.done:
		return false
	}
}

// reset begins a new session (SE-010).
func (s *Session) reset() {
	s.generation, s.confirmed = 0, false
	s.streams, s.turn, s.nextStream, s.nextHost = map[uint32]*Stream{}, nil, 1, 2
	s.given, s.acked, s.retained, s.retainedBytes, s.resend = 0, 0, nil, 0, 0
	s.taken, s.ackSaid, s.ackPending, s.ackDue = 0, 0, 0, time.Time{}
}

func (s *Session) loop() {
	timer := time.NewTimer(time.Hour)
	s.dial()
	for {
		s.config.Settle()
		s.flush()
		timer.Reset(time.Until(s.deadline()))
		select {
		case f := <-s.events:
			f()
			for more := true; more; { // all that is there is one turn (RC-014)
				select {
				case f := <-s.events:
					f()
				default:
					more = false
				}
			}
		case <-timer.C:
		case <-s.ctx.Done():
			s.finish()
			return
		}
		if !timer.Stop() {
			select {
			case <-timer.C:
			default:
			}
		}
		s.clocks(s.config.Now())
	}
}

func (s *Session) finish() {
	close(s.done)
	for _, l := range []*link{s.current, s.candidate} {
		if l != nil {
			l.close(code.Unspecified, false)
			select {
			case <-l.over():
			case <-time.After(2 * time.Second):
			}
		}
	}
	close(s.over)
}

// Open opens a stream of a service (SE-040). messageMax bounds what is taken on it.
func (s *Session) Open(service string, messageMax int, r Reader) (*Stream, error) {
	if s.open(1) >= streamsMax { // SE-041
		return nil, code.New(code.StreamLimit, "too many streams")
	}
	st := s.stream(s.nextStream)
	st.service, st.reader, st.largest = service, r, messageMax
	s.nextStream += 2
	return st, nil
}

// open counts the streams that one side opened: 1 for this one, 0 for the host.
func (s *Session) open(side uint32) (n int) {
	for id := range s.streams {
		if id&1 == side {
			n++
		}
	}
	return n
}

func (s *Session) stream(id uint32) *Stream {
	st := &Stream{session: s, id: id, sendLimit: streamCredit, granted: streamCredit}
	s.streams[id] = st
	s.turn = append(s.turn, st)
	return st
}

// Drop cuts the connection without a word; the session goes on over a new path.
func (s *Session) Drop() {
	if s.current != nil {
		l := s.current
		l.drop()
		s.pathEnded(l, code.New(code.Unspecified, "dropped"))
	}
}

// Ping asks the host for a Pong (SE-072); it says whether there is a path to ask on.
func (s *Session) Ping(answered func(time.Duration)) bool {
	l := s.current
	if l == nil {
		return false
	}
	s.ping(l, time.Now())
	id, since := l.pingID, time.Now()
	l.pong = func(got uint64) {
		if got == id {
			answered(time.Since(since))
		}
	}
	return true
}

// Quit ends the session.
func (s *Session) Quit() {
	if s.stop != nil {
		s.stop()
	}
}

// State says for a person how the session stands.
func (s *Session) State() (generation, given, taken uint64, attached bool) {
	return s.generation, s.given, s.taken, s.current != nil
}

// giveUp ends all streams and the paths that are left, and begins anew unless the client
// stops.
func (s *Session) giveUp(reason error, stop bool) {
	s.giveUpWith(code.Unspecified, reason, stop)
}

func (s *Session) giveUpWith(last code.Code, reason error, stop bool) {
	streams := s.streams
	s.reset()
	for _, l := range []*link{s.current, s.candidate} {
		if l != nil {
			l.close(last, false)
		}
	}
	s.current, s.candidate, s.moving = nil, nil, false
	s.moves++
	for _, st := range streams {
		st.tell(code.SessionLost)
	}
	if stop {
		s.result = reason
		s.Quit()
	}
}

// Ready says whether the session is there, with or without a path.
func (s *Session) Ready() bool { return s.confirmed }
