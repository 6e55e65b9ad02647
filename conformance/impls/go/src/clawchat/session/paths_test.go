package session

import (
	"context"
	"testing"
	"time"

	"clawchat/code"
	"clawchat/msg"
)

// nowhere is a path that leads nowhere.
type nowhere struct{}

func (nowhere) record([][]byte)       {}
func (nowhere) end(code.Code, bool)   {}
func (nowhere) leave()                {}
func (nowhere) cut()                  {}
func (nowhere) over() <-chan struct{} { return nil }

// SE-082: each row of its table, and what follows on what.
func TestWaits(t *testing.T) {
	start := time.Unix(0, 0)
	now := start
	s := &Session{ctx: context.Background(), config: Config{Now: func() time.Time { return now }, Note: func(string, error) {}}}
	ended := func(c code.Code, lasted time.Duration) {
		l := s.newLink(nowhere{})
		s.candidate = l
		if lasted >= 0 {
			now = now.Add(time.Hour)
			l.state, l.since = attached, now
			now = now.Add(lasted)
			s.current, s.candidate = l, nil
		}
		switch c {
		case code.PathDead:
			s.pathEnded(l, code.New(c, "silent"))
		case code.TransportFailed:
			s.fault(l, code.New(c, "does not open"))
		default:
			s.closed(l, msg.Close{Code: uint32(c), Resumable: c == code.PathSuperseded})
		}
	}
	const never, short, long = -1, time.Second, backoffMax
	for i, step := range []struct {
		code   code.Code
		lasted time.Duration
		next   wait
		failed int
	}{
		{code.PathDead, short, briefly, 0},
		{code.PathDead, long, atOnce, 0},
		{code.TransportFailed, short, briefly, 0},
		{code.PathSuperseded, short, briefly, 0},
		{code.PathSuperseded, never, backOff, 1},
		{code.HostBusy, short, backOff, 2},
		{code.SessionLost, never, atOnce, 2},
		{code.SessionLost, short, backOff, 3},
		{code.SessionLost, never, backOff, 4},
		{code.PathDead, never, backOff, 5},
		{code.SessionLost, short, atOnce, 5},
		{code.TransportFailed, long, atOnce, 0},
		{code.FrameMalformed, long, backOff, 1},
	} {
		s.dialer.next = backOff
		ended(step.code, step.lasted)
		if s.dialer.next != step.next || s.dialer.failures != step.failed {
			t.Errorf("step %d: wait %d after %d failures instead of %d after %d", i, s.dialer.next, s.dialer.failures, step.next, step.failed)
		}
	}
}

// SE-008: a host that answers pings and never an Attach.
func TestUnanswered(t *testing.T) {
	now := time.Unix(0, 0)
	s := &Session{ctx: context.Background(), config: Config{Now: func() time.Time { return now }, Note: func(string, error) {}}}
	older, newer := s.newLink(nowhere{}), s.newLink(nowhere{})
	s.current, s.candidate = older, newer
	for _, step := range []struct {
		after time.Duration
		kept  bool
	}{{pathDead - time.Second, true}, {time.Second, false}} {
		now = now.Add(step.after)
		older.heard, newer.heard = now, now
		s.clocks(now)
		if (s.candidate == newer) != step.kept || s.current != older {
			t.Errorf("%s later: kept %v", step.after, s.candidate == newer)
		}
	}
}
