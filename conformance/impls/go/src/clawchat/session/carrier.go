package session

import (
	"clawchat/code"
	"clawchat/path"
)

// pathCarrier is a carrier over a real path: one goroutine reads, one writes.
type pathCarrier struct {
	session *Session
	link    *link
	path    *path.Path
	out     chan packet
	ended   chan struct{}
}

// packet is what the writer is told: frames for one record, or the end of the path.
type packet struct {
	frames    [][]byte
	code      code.Code
	resumable bool
}

// carry makes a link of a path.
func (s *Session) carry(p *path.Path) *link {
	c := &pathCarrier{session: s, path: p, out: make(chan packet, 2), ended: make(chan struct{})}
	c.link = s.newLink(c)
	c.link.port, c.link.epoch = p.Port, p.Epoch
	go c.read()
	go c.write()
	return c.link
}

func (c *pathCarrier) read() {
	for {
		frames, err := c.path.Read()
		worn := c.path.WornReceive()
		if !c.session.post(func() { c.session.record(c.link, frames, err, worn) }) || err != nil {
			return
		}
	}
}

func (c *pathCarrier) write() {
	defer close(c.ended)
	for p := range c.out {
		if p.frames == nil {
			c.path.End(p.code, p.resumable)
			return
		}
		err := c.path.Write(p.frames)
		worn := c.path.WornSend()
		c.session.post(func() { c.session.written(c.link, worn, err) })
	}
}

// The loop gives a record only when the last one is out, and after an end nothing: the
// channel has room for both.
func (c *pathCarrier) record(frames [][]byte) { c.out <- packet{frames: frames} }

func (c *pathCarrier) end(reason code.Code, resumable bool) {
	c.out <- packet{code: reason, resumable: resumable}
}

func (c *pathCarrier) leave() {
	close(c.out)
	go c.path.Leave()
}

func (c *pathCarrier) cut() {
	close(c.out)
	c.path.Cut()
}

func (c *pathCarrier) over() <-chan struct{} { return c.ended }
