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
	c.note("notice of a move", err)
	if err != nil { // RT-154
		return session.Plan{}
	}
	if a.Record.Endpoints[0].Port == port && a.Record.AccessKeys[0].Epoch == epoch {
		return session.Plan{} // RT-150: there already
	}
	wait := c.preset.instant(n, rand.Int63n)
	return session.Plan{Moves: true, Wait: time.Duration(wait) * time.Millisecond}
}

// instant draws when to move, in milliseconds from now (RT-150, RT-153).
func (p Preset) instant(n msg.RotationNotice, draw func(int64) int64) int64 {
	toR, oldEnds := int64(n.RotatesInMs), int64(n.OldEndsInMs)
	if toR == 0 && oldEnds < p.GraceMs {
		toR = oldEnds - p.GraceMs // R is behind us
	}
	from, until := toR-p.MigrateLeadMs, toR+p.MigrateLagMs
	if from < 0 {
		from = 0
	}
	if n.Kind == msg.RotationEmergency || until <= from {
		from, until = 0, oldEnds/2
	}
	return from + draw(until-from+1)
}
