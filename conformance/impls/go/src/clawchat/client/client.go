// Package client joins a host with an invite, keeps the device's record up to date, and
// dials (chapters 3, 7 and 8).
package client

import (
	"context"
	"time"

	"clawchat/code"
	"clawchat/connfile"
	"clawchat/invite"
	"clawchat/kdf"
	"clawchat/msg"
	"clawchat/path"
	"clawchat/state"
	"clawchat/store"
)

const (
	readBeforeDial = 120000 // READ_BEFORE_DIAL_MS
	software       = "clawchat-go 1"
)

// Client is a device with its state file.
type Client struct {
	file *state.File
	note func(event string, err error)
}

// Software names this program in Hello.
const Software = software

// Open opens the state file. With an invite it joins, unless the file holds that invite
// already (EN-012).
func Open(path, inviteText string, note func(string, error)) (*Client, error) {
	file, fresh, err := state.Open(path)
	if err != nil {
		return nil, err
	}
	c := &Client{file: file, note: note}
	if inviteText == "" {
		if fresh {
			return nil, code.New(code.NotJoined, "no state file: give --invite")
		}
		return c, nil
	}
	parsed, encoded, err := invite.Read(inviteText)
	if err != nil {
		return nil, err
	}
	if !fresh {
		if string(file.Invite) == string(encoded) || file.State == state.Device {
			return c, nil // the run goes on where it was
		}
	}
	if invite.Expired(parsed, now()) { // IN-006
		return nil, code.New(code.InviteExpired, "ask for a new invite")
	}
	data, err := state.Join(encoded, parsed)
	if err != nil {
		return nil, err
	}
	file.Data = data
	return c, file.Save() // EN-001
}

// Data is what the device holds.
func (c *Client) Data() *state.Data { return &c.file.Data }

func now() uint64 { return uint64(time.Now().UnixMilli()) }

// record is the highest accepted record; false when there is none.
func (c *Client) record() (msg.Record, bool) {
	if len(c.file.Record) == 0 {
		return msg.Record{}, false
	}
	r, err := msg.ReadRecord(c.file.Record)
	return r, err == nil
}

// Dial opens a path as what the device is (DI-030, DI-031, DI-033, DI-034). after is how
// many dials before it failed: then the stores are read in any case (DI-032).
func (c *Client) Dial(ctx context.Context, after int) (*path.Path, error) {
	r, ok := c.record()
	if !ok || after > 0 || now()+readBeforeDial >= r.NextRotationMs {
		err := c.readStores()
		if r, ok = c.record(); !ok {
			return nil, err
		}
	}
	static, keys := c.file.DialsAs()
	return path.Dial(ctx, r, path.Credentials{StaticSecret: static, Keys: keys}, now())
}

// readStores reads the stores of the record, or of the invite while there is none
// (DI-037), and keeps the valid record with the highest sequence (DI-005).
func (c *Client) readStores() error {
	stores := c.stores()
	_, keys := c.file.DialsAs()
	var best *connfile.Accepted
	failure := code.New(code.StoreUnavailable, "no store is known")
	for _, s := range stores {
		if s.Kind != msg.KindLocal { // other kinds are not read by this program (DI-001)
			continue
		}
		files, err := store.Local(s.URL)
		if err != nil {
			failure = err
			continue
		}
		for _, file := range files {
			a, err := connfile.Read(file, keys.File, c.file.Trust(), now())
			if err != nil {
				failure = err
				continue
			}
			if best == nil || a.Record.Sequence > best.Record.Sequence {
				best = a
			}
		}
	}
	if best == nil {
		c.note("no store gave a record", failure)
		return failure
	}
	return c.accept(best)
}

func (c *Client) stores() []msg.Store {
	if r, ok := c.record(); ok {
		return r.Stores
	}
	v, _ := msg.ReadInvite(c.file.Invite)
	return v.Stores
}

// accept stores a record durably before anything of it is used (CF-034).
func (c *Client) accept(a *connfile.Accepted) error {
	if a.ClockSuspect != nil {
		c.note("clock", a.ClockSuspect)
	}
	if highest := c.file.Trust().Highest; highest != nil && string(highest.Hash) == string(a.Hash) {
		return nil
	}
	c.file.Accept(a)
	return c.file.Save()
}

// Notice takes over the record of a notice of the host's moves.
func (c *Client) Notice(n msg.RotationNotice) {
	if len(n.Envelope) == 0 {
		return
	}
	a, err := connfile.ReadEnvelope(n.Envelope, c.file.Trust(), now())
	if err == nil {
		err = c.accept(a)
	}
	c.note("notice of a move", err)
}

// Heard is the first frame on a path of the device (EN-010).
func (c *Client) Heard() error {
	if c.file.HeardAsDevice() {
		return c.file.Save()
	}
	return nil
}

// Outbox is the outbox of the device.
func (c *Client) Outbox() *state.Outbox { return c.file.Outbox }

// KeepOutbox makes an outbox durable. When that fails the old one stays.
func (c *Client) KeepOutbox(o *state.Outbox) error {
	before := c.file.Outbox
	c.file.Outbox = o
	err := c.file.Save()
	if err != nil {
		c.file.Outbox = before
	}
	return err
}

// DeviceID is the device's id.
func (c *Client) DeviceID() []byte { return kdf.DeviceID(c.file.DeviceKey()) }
