// Package client joins a host with an invite, keeps the device's record up to date, and
// dials (chapters 3, 7 and 8).
package client

import (
	"bytes"
	"context"
	"sync"
	"time"

	"clawchat/code"
	"clawchat/connfile"
	"clawchat/handshake"
	"clawchat/invite"
	"clawchat/kdf"
	"clawchat/msg"
	"clawchat/path"
	"clawchat/state"
	"clawchat/store"
)

const software = "clawchat-go 1"

// Client is a device with its state file.
type Client struct {
	mu     sync.Mutex // guards file: dials run beside the session's loop
	file   *state.File
	preset Preset
	note   func(event string, err error)
}

// Preset is the part of constants.md that differs between presets and matters here.
type Preset struct {
	ReadBeforeDialMs, MigrateLeadMs, MigrateLagMs, GraceMs, StoreReadAgainMs int64
}

// Presets by their names.
var Presets = map[string]Preset{
	"standard": {120000, 90000, 150000, 300000, 60000},
	"minimal":  {400, 300, 500, 1000, 200},
}

// ReadsFirst says whether a client that starts now reads its stores before it dials (DI-030).
func (p Preset) ReadsFirst(nowMs, nextRotationMs uint64) bool {
	return nowMs+uint64(p.ReadBeforeDialMs) >= nextRotationMs
}

// Open opens the state file. With an invite it joins, unless it did so with that invite
// before (EN-012).
func Open(path, inviteText string, preset Preset, note func(string, error)) (*Client, error) {
	file, fresh, err := state.Open(path)
	if err != nil {
		return nil, err
	}
	c := &Client{file: file, preset: preset, note: note}
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
		if file.Uses(encoded) {
			return c, nil // the run goes on where it was
		}
		if err := file.MayJoin(); err != nil {
			return nil, err
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

func now() uint64 { return uint64(time.Now().UnixMilli()) }

// record is the highest accepted record; false when there is none.
func (c *Client) record() (msg.Record, bool) {
	if len(c.file.Record) == 0 {
		return msg.Record{}, false
	}
	r, err := msg.ReadRecord(c.file.Record)
	return r, err == nil
}

// Dial opens a path as what the device is. after is how many dials before it failed:
// then the stores are read in any case (DI-030, DI-032, DI-033, DI-034).
func (c *Client) Dial(ctx context.Context, after int) (*path.Path, error) {
	r, who, err := c.prepare(after > 0)
	if err != nil {
		return nil, err
	}
	p, err := path.Dial(ctx, r, who, now())
	if err != nil {
		return p, err
	}
	if p.Witness.Sequence > r.Sequence {
		c.behind(p.Witness.Sequence)
	} else if c.contradicts(p.Witness) {
		c.note("two records have one number", code.New(code.RecordEquivocation, "the host names another record %d", p.Witness.Sequence))
	}
	return p, err
}

// contradicts says whether the host names another record with the number of the one that
// is held (CF-033).
func (c *Client) contradicts(w handshake.Reply) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.record()
	return ok && w.Sequence == r.Sequence && !bytes.Equal(w.Hash, kdf.RecordHash(c.file.Record))
}

// prepare finds the record to dial with, and what the device is.
func (c *Client) prepare(read bool) (msg.Record, path.Credentials, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.record()
	if !ok || read || c.preset.ReadsFirst(now(), r.NextRotationMs) {
		err := c.readStores()
		if r, ok = c.record(); !ok {
			return r, path.Credentials{}, err
		}
	}
	static, keys := c.file.DialsAs()
	return r, path.Credentials{StaticSecret: static, Keys: keys}, nil
}

// behind reads the stores because the host has seen a newer record in one of them, once
// more a while later, and then says that they are stale (DI-036).
func (c *Client) behind(sequence uint64) {
	lower := func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readStores()
		r, ok := c.record()
		return !ok || r.Sequence < sequence
	}
	if lower() {
		time.AfterFunc(time.Duration(c.preset.StoreReadAgainMs)*time.Millisecond, func() {
			if lower() {
				c.note("stores are stale", code.New(code.RecordRollback, "the host has seen sequence %d", sequence))
			}
		})
	}
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

// Heard is the first frame on a path of the device (EN-010).
func (c *Client) Heard() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.file.HeardAsDevice() {
		return c.file.Save()
	}
	return nil
}

// Outbox is the outbox of the device, as it is on disk.
func (c *Client) Outbox() *state.Outbox {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.file.Outbox
}

// KeepOutbox makes an outbox durable. When that fails the old one stays.
func (c *Client) KeepOutbox(o *state.Outbox) error {
	c.mu.Lock()
	defer c.mu.Unlock()
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
