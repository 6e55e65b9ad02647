package client

import (
	"context"
	"math/rand"
	"time"

	"clawchat/code"
	"clawchat/msg"
	"clawchat/path"
	"clawchat/state"
	"clawchat/transport"
	"clawchat/words"
)

const enrolTimeout = 10 * time.Second

// Enrol dials with the invite until the host lets the device in, or says that it will
// not (chapter 8.2). It returns at once when that was done before (EN-008).
func (c *Client) Enrol(ctx context.Context, name string) error {
	for failures := 0; c.file.State == state.Keyed; failures++ {
		if failures > 0 {
			select {
			case <-time.After(backoff(failures)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := c.enrolOnce(ctx, failures, name)
		switch code.Of(err) {
		case code.InviteUsed, code.InviteExpired, code.EnrolInvalid, code.DeviceLimit,
			code.VersionUnsupported, code.NotPermitted, code.StorageFull: // 5.9: stops
			return err
		}
		if err != nil {
			c.note("not enrolled yet", err)
		}
	}
	return nil
}

func backoff(failures int) time.Duration {
	bound := time.Minute
	if failures < 7 {
		bound = time.Second << uint(failures-1)
	}
	return time.Duration(rand.Int63n(int64(bound)))
}

func (c *Client) enrolOnce(ctx context.Context, failures int, name string) error {
	p, err := c.Dial(ctx, failures)
	if err != nil {
		return err
	}
	timer := time.AfterFunc(enrolTimeout, p.Cut)
	defer timer.Stop()
	if !c.file.EnrolSent {
		c.file.EnrolSent = true
		if err := c.file.Save(); err != nil {
			return err
		}
	}
	hello := msg.Frame{Body: msg.BodyHello, Hello: msg.Hello{ProtocolVersion: 1, Software: software}}
	enrol := msg.Frame{Body: msg.BodyEnrol, Enrol: msg.Enrol{DeviceKey: c.file.DeviceKey(), Name: name}}
	if err := p.Write([][]byte{hello.Bytes(), enrol.Bytes()}); err != nil { // HS-020
		return err
	}
	err = c.awaitReply(p)
	if code.Of(err) == code.TransportFailed {
		p.Cut()
		return err
	}
	var closed closedByHost
	if asClosed(err, &closed) {
		p.Leave()
		return closed.error
	}
	p.End(code.Of(err), false) // UNSPECIFIED after success
	return err
}

// closedByHost is a Close that came instead of an answer.
type closedByHost struct{ error }

func (c closedByHost) Unwrap() error { return c.error }

func asClosed(err error, to *closedByHost) bool {
	v, ok := err.(closedByHost)
	*to = v
	return ok
}

// awaitReply takes what the table of 5.2 allows on an invite's path.
func (c *Client) awaitReply(p *path.Path) error {
	greeted := false
	for {
		frames, err := p.Read()
		if err != nil {
			if code.Of(err) == code.Unspecified {
				return code.New(code.TransportFailed, "%v", err)
			}
			return err
		}
		for _, b := range frames {
			f, err := transport.Judge(b)
			if err != nil {
				return err
			}
			if (f.Body == msg.BodyHello) == greeted && f.Body != 0 {
				return code.New(code.FrameUnexpected, "no Hello at first, or a second one")
			}
			switch f.Body {
			case 0, msg.BodyPong:
			case msg.BodyHello:
				greeted = true
			case msg.BodyPing:
				pong := msg.Frame{Body: msg.BodyPong, Pong: f.Ping}
				if err := p.Write([][]byte{pong.Bytes()}); err != nil {
					return err
				}
			case msg.BodyClose:
				return closedByHost{code.New(code.Known(f.Close.Code), "the host refused")}
			case msg.BodyEnrolled:
				return c.enrolled(f.Enrolled)
			default:
				return code.New(code.FrameUnexpected, "body %d on an invite's path", f.Body)
			}
		}
	}
}

// enrolled stores the reply durably (EN-008, EN-013).
func (c *Client) enrolled(e msg.Enrolled) error {
	before := c.file.Data
	err := c.file.Reply(e, now())
	if code.Of(err) == code.ClockSuspect {
		c.note("clock", err)
		err = nil
	}
	if err == nil {
		err = c.file.Save()
	}
	if err != nil {
		c.file.Data = before
	}
	return err
}

// Words are those that two people compare (EN-040).
func (c *Client) Words() string { return words.Of(c.file.Identity, c.file.DeviceKey()) }
