package client

import (
	"math/rand"
	"time"

	"clawchat/connfile"
	"clawchat/msg"
	"clawchat/session"
)

// Notice takes over the record of a notice of the host's moves and plans the client's own
// move from the path of this port and epoch (chapter 6.9).
func (c *Client) Notice(n msg.RotationNotice, port uint32, epoch uint64) session.Plan {
	if n.Kind == msg.RotationHold { // RT-152
		c.note("the host holds", nil)
		return session.Plan{Forgets: true}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a, err := connfile.ReadEnvelope(n.Envelope, c.file.Trust(), now())
	if err == nil {
		err = c.accept(a)
	}
	c.note("notice of a record", err)
	if err != nil || n.Kind == msg.RotationRecord { // RT-154, RT-157
		return session.Plan{}
	}
	if a.Record.Endpoints[0].Port == port && a.Record.AccessKeys[0].Epoch == epoch {
		return session.Plan{} // RT-150: there already
	}
	first, last := c.preset.Window(n)
	wait := first + rand.Int63n(last-first+1)
	return session.Plan{Moves: true, Wait: time.Duration(wait) * time.Millisecond}
}

// Window gives the first and the last instant of a move, in milliseconds from now (RT-150, RT-153).
func (p Preset) Window(n msg.RotationNotice) (first, last int64) {
	rotates, oldEnds := int64(n.RotatesInMs), int64(n.OldEndsInMs)
	if first = rotates - p.MigrateLeadMs; first < 0 {
		first = 0
	}
	last = rotates + p.MigrateLagMs
	if promised := oldEnds - (p.GraceMs - p.MigrateLagMs); promised < last {
		last = promised
	}
	if n.Kind == msg.RotationEmergency || last < first {
		return 0, oldEnds / 2
	}
	return first, last
}
