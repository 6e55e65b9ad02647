package session

import (
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/transport"
)

// Stepper drives a session step by step, with paths that are only names and a clock that
// stands still. The vectors use it.
type Stepper struct {
	Session *Session
	Sent    []Sent
	Cut     []string
	links   map[string]*link
	now     time.Time
}

// Sent is a frame that a step sent.
type Sent struct {
	Path  string
	Frame msg.Frame
}

// NewStepper makes a session that does not dial.
func NewStepper(config Config) *Stepper {
	t := &Stepper{links: map[string]*link{}, now: time.Unix(0, 0)}
	config.Now = func() time.Time { return t.now }
	config.Dial = nil
	t.Session = fresh(config)
	return t
}

// At sets the clock.
func (t *Stepper) At(ms uint64) { t.now = time.Unix(0, int64(ms)*int64(time.Millisecond)) }

// Path makes a path on which both sides have said Hello.
func (t *Stepper) Path(name string) {
	l := t.Session.newLink(nil)
	l.greeted = true
	l.carrier = &named{t, name, l}
	t.links[name] = l
}

// Attach puts the session on a path.
func (t *Stepper) Attach(name string) { t.Session.attach(t.links[name]) }

// Frame arrives on a path, alone in its record.
func (t *Stepper) Frame(name string, frame []byte) {
	t.Session.record(t.links[name], [][]byte{frame}, nil, false)
}

// Lose ends a path without a word.
func (t *Stepper) Lose(name string) {
	t.Session.pathEnded(t.links[name], nil)
	t.Cut = nil
}

// Garble ends a path by a record that does not open.
func (t *Stepper) Garble(name string) {
	t.Session.record(t.links[name], nil, code.New(code.TransportFailed, "does not open"), false)
}

// Redial says below what the wait for the next dial is drawn; false when none is called for.
func (t *Stepper) Redial() (time.Duration, bool) {
	s := t.Session
	bound := s.dialer.bound()
	s.dialer.next = backOff
	return bound, s.current == nil && s.candidate == nil
}

// Clocks does what is due at the time that the clock shows.
func (t *Stepper) Clocks() { t.Session.clocks(t.now) }

// Finish sends everything that the step made ready.
func (t *Stepper) Finish() {
	for before := -1; before != len(t.Sent); {
		before = len(t.Sent)
		t.Session.flush()
		for _, l := range t.links { // paths that the session does not have yet
			t.Session.flushLink(l)
		}
	}
}

// Now says how the session stands: nil numbers when there is none.
func (t *Stepper) Now() (taken, acknowledged uint64, path string, ok bool) {
	s := t.Session
	if s.current != nil {
		path = s.current.carrier.(*named).name
	}
	return s.taken, s.acked, path, s.generation > 0
}

// named is a carrier that writes down what it is given.
type named struct {
	stepper *Stepper
	name    string
	link    *link
}

func (n *named) record(frames [][]byte) {
	for _, b := range frames {
		f, err := transport.Judge(b)
		if err != nil {
			panic(err)
		}
		n.stepper.Sent = append(n.stepper.Sent, Sent{n.name, f})
	}
	n.stepper.Session.written(n.link, false, nil)
}

func (n *named) end(c code.Code, resumable bool) {
	f := msg.Frame{Body: msg.BodyClose, Close: msg.Close{Code: uint32(c), Resumable: resumable}}
	n.stepper.Sent = append(n.stepper.Sent, Sent{n.name, f})
}

func (n *named) leave()                {}
func (n *named) cut()                  { n.stepper.Cut = append(n.stepper.Cut, n.name) }
func (n *named) over() <-chan struct{} { return nil }
