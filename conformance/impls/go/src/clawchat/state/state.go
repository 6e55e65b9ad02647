// Package state is what a device keeps on disk: who it is, whom it trusts, and its
// outbox. Everything is one small JSON file, replaced as a whole.
package state

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"clawchat/connfile"
	"clawchat/kdf"
	"clawchat/msg"
)

// Hex is bytes that stand in JSON as hexadecimal.
type Hex []byte

// MarshalText writes hexadecimal.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads it.
func (h *Hex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// States of a device that joins (8.2).
const (
	Keyed   = "KEYED"
	Granted = "GRANTED"
	Device  = "DEVICE"
)

// Data is the content of the file.
type Data struct {
	State        string  `json:"state"`
	Invite       Hex     `json:"invite,omitempty"`     // the encoded Invite, until the state is DEVICE
	JoinedWith   Hex     `json:"joined_with"`          // SHA-256 of the Invite, also when it is erased
	EnrolSent    bool    `json:"enrol_sent,omitempty"` // IN-006
	StaticSecret Hex     `json:"device_static_secret"`
	Secret       Hex     `json:"device_secret,omitempty"`
	Name         string  `json:"name,omitempty"`
	ServerID     Hex     `json:"server_id"`
	Identity     Hex     `json:"identity"`
	NextIdentity Hex     `json:"next_identity_hash,omitempty"`
	Record       Hex     `json:"record,omitempty"` // payload of the highest accepted record
	Outbox       *Outbox `json:"outbox,omitempty"`

	// Known is the highest record when only its sequence and hash are known.
	Known *connfile.Seen `json:"-"`
}

// Outbox is a random id and the posts without an answer (11.4).
type Outbox struct {
	ID           Hex    `json:"id"`
	Answered     uint64 `json:"answered"` // the highest number with an answer
	AnsweredHash Hex    `json:"answered_hash,omitempty"`
	Posts        []Post `json:"posts"` // Answered + 1, Answered + 2 ...
}

// Post is one post without an answer.
type Post struct {
	Content Hex `json:"content"`
}

// Given is the highest number that was given.
func (o *Outbox) Given() uint64 { return o.Answered + uint64(len(o.Posts)) }

// Copy is an outbox of its own with the same posts.
func (o *Outbox) Copy() *Outbox {
	c := *o
	c.Posts = append([]Post{}, o.Posts...)
	return &c
}

// Join makes the data of a device that holds an invite and a new device key (EN-001).
func Join(encoded []byte, invite msg.Invite) (Data, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return Data{}, err
	}
	return Data{
		State: Keyed, Invite: encoded, JoinedWith: fingerprint(encoded), StaticSecret: secret,
		ServerID: invite.ServerID, Identity: invite.Identity,
	}, nil
}

// Uses says whether the device joins, or joined, with this invite.
func (d *Data) Uses(encoded []byte) bool { return bytes.Equal(d.JoinedWith, fingerprint(encoded)) }

func fingerprint(encoded []byte) []byte {
	sum := sha256.Sum256(encoded)
	return sum[:]
}

// Trust is what the device holds of its host.
func (d *Data) Trust() connfile.Trust {
	t := connfile.Trust{ServerID: d.ServerID, Identity: d.Identity, NextIdentityHash: d.NextIdentity, Highest: d.Known}
	if len(d.Record) > 0 {
		r, _ := msg.ReadRecord(d.Record)
		t.Highest = &connfile.Seen{Sequence: r.Sequence, Hash: kdf.RecordHash(d.Record), IssuedAtMs: r.IssuedAtMs}
	}
	return t
}

// Accept takes over a record that passed (CF-012).
func (d *Data) Accept(a *connfile.Accepted) {
	d.Identity, d.NextIdentity = a.Trust.Identity, a.Trust.NextIdentityHash
	d.Record = append([]byte{}, a.Payload...)
}

// DeviceKey is the device's public key.
func (d *Data) DeviceKey() []byte { return kdf.X25519Public(d.StaticSecret) }

// DialsAs is what the device is to the host: its private key and the keys of the invite
// or of the device.
func (d *Data) DialsAs() (static []byte, keys kdf.Keys) {
	if d.State == Keyed {
		invite, _ := msg.ReadInvite(d.Invite)
		return kdf.InviteStatic(invite.Secret), kdf.InviteKeys(invite.Secret)
	}
	return d.StaticSecret, kdf.DeviceKeys(d.Secret)
}

func (d *Data) encode() ([]byte, error) { return json.MarshalIndent(d, "", " ") }
