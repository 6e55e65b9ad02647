package connfile

import (
	"bytes"
	"crypto/ed25519"

	"clawchat/code"
	"clawchat/kdf"
	"clawchat/msg"
)

// Trust is what a client holds of its host (3.4).
type Trust struct {
	ServerID         []byte
	Identity         []byte
	NextIdentityHash []byte // nil before the first record
	Highest          *Seen  // nil before the first record
}

// Seen is the highest record that was accepted. After a succession that carries a
// floor, Sequence is not lower than that floor.
type Seen struct {
	Sequence   uint64
	Hash       []byte
	IssuedAtMs uint64
}

// Accepted is a record that passed, with what the client holds from now on (CF-012).
type Accepted struct {
	Record   msg.Record
	Payload  []byte
	Hash     []byte
	Followed int // successions
	Trust    Trust
	// ClockSuspect is the fault of step 9, which does not keep the record from
	// being accepted and stored.
	ClockSuspect error
}

// Read reads a connection file: all steps of 3.4 in their order (CF-030).
func Read(file, fileKey []byte, trust Trust, nowMs uint64) (*Accepted, error) {
	envelope, err := Open(file, fileKey)
	if err != nil {
		return nil, err
	}
	return ReadEnvelope(envelope, trust, nowMs)
}

// ReadEnvelope begins at the envelope of step 5, as a notice or an enrolment reply does.
func ReadEnvelope(b []byte, trust Trust, nowMs uint64) (*Accepted, error) {
	malformed := code.New(code.FileMalformed, "the envelope breaks a rule")
	if len(b) > envelopeMax {
		return nil, malformed
	}
	envelope, err := msg.ReadEnvelope(b)
	if err != nil || len(envelope.Payload) < 1 || len(envelope.Signature) != ed25519.SignatureSize {
		return nil, malformed
	}
	c, err := follow(envelope.Successions, trust) // step 6
	if err != nil {
		return nil, err
	}
	if !verify(c.identity, kdf.SignedRecord(envelope.Payload), envelope.Signature) { // CF-007
		return nil, code.New(code.SignatureInvalid, "the record is not signed by the host")
	}
	record, err := readRecord(envelope.Payload, trust.ServerID) // step 7
	if err != nil {
		return nil, err
	}
	if c.next != nil && !bytes.Equal(c.next, record.NextIdentityHash) { // CF-014
		return nil, code.New(code.SuccessionInvalid, "the record names another next identity")
	}
	hash := kdf.RecordHash(envelope.Payload)
	if err := fresh(record, hash, c, trust.Highest); err != nil { // step 8
		return nil, err
	}
	a := &Accepted{
		Record: record, Payload: envelope.Payload, Hash: hash, Followed: c.followed,
		Trust: Trust{
			ServerID:         trust.ServerID,
			Identity:         c.identity,
			NextIdentityHash: record.NextIdentityHash,
			Highest:          &Seen{Sequence: record.Sequence, Hash: hash, IssuedAtMs: record.IssuedAtMs},
		},
	}
	a.ClockSuspect = Clock(record, nowMs) // step 9
	return a, nil
}

// fresh is step 8: no rollback, no equivocation (CF-013, CF-032, CF-033). A succession
// that was followed takes the place of the highest sequence (CF-012).
func fresh(record msg.Record, hash []byte, c chain, highest *Seen) error {
	if record.Sequence < c.floor {
		return code.New(code.RecordRollback, "sequence %d is below the floor %d", record.Sequence, c.floor)
	}
	if c.followed > 0 || highest == nil {
		return nil
	}
	if record.Sequence < highest.Sequence {
		return code.New(code.RecordRollback, "sequence %d, but %d (%x) was accepted",
			record.Sequence, highest.Sequence, highest.Hash)
	}
	if record.Sequence == highest.Sequence && !bytes.Equal(hash, highest.Hash) {
		return code.New(code.RecordEquivocation, "two records of sequence %d", record.Sequence)
	}
	return nil
}

// Clock is the rule of 3.5: not every channel key is expired, judged by the later of
// the system's clock and the record's own time.
func Clock(record msg.Record, nowMs uint64) error {
	if _, ok := ChannelKey(record, nowMs); !ok {
		return code.New(code.ClockSuspect, "all channel keys are expired: the clock shows %d, the record was issued at %d",
			nowMs, record.IssuedAtMs)
	}
	return nil
}

// ChannelKey is the first channel key that has not expired (4.4).
func ChannelKey(record msg.Record, nowMs uint64) ([]byte, bool) {
	if record.IssuedAtMs > nowMs {
		nowMs = record.IssuedAtMs
	}
	for _, k := range record.ChannelKeys {
		if nowMs <= k.NotAfterMs {
			return k.PublicKey, true
		}
	}
	return nil, false
}
