// Package handshake runs the Noise handshake of chapter 4.4 on the Noise library.
package handshake

import (
	"io"

	"github.com/flynn/noise"

	"clawchat/code"
	"clawchat/gate"
	"clawchat/kdf"
	"clawchat/pb"
)

// Lengths of the messages (HS-012).
const (
	Message2Bytes = 112
	Message3Bytes = 64
	replyBytes    = 64
)

const sequenceMax = 1<<53 - 1

// Suite is Noise's 25519_AESGCM_SHA256.
var Suite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)

// Client is everything that a client brings to one attempt.
type Client struct {
	ServerID     []byte
	Epoch        uint64 // of the first access key of the record (GT-001)
	AccessKey    []byte
	ChannelKey   []byte
	StaticSecret []byte
	PSK          []byte
	GateKey      []byte
	Random       io.Reader // nil for the system's
}

// Attempt is a handshake under way.
type Attempt struct {
	Token    string
	Message1 []byte
	state    *noise.HandshakeState
}

// Keys are the results: one cipher state for each direction.
type Keys struct {
	Send, Receive *noise.CipherState
	Hash          []byte
}

// Reply is what message 2 said: the newest record that the host has seen in a store.
type Reply struct {
	Sequence uint64
	Hash     []byte
}

func failed(err error) error {
	return code.New(code.HandshakeFailed, "the peer does not hold the key it should: %v", err)
}

// Begin writes message 1 and the token that carries it.
func (c Client) Begin() (*Attempt, error) {
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite:           Suite,
		Random:                c.Random,
		Pattern:               noise.HandshakeXK,
		Initiator:             true,
		Prologue:              kdf.Prologue(1, 1, c.ServerID, c.Epoch),
		PresharedKey:          c.PSK,
		PresharedKeyPlacement: 3,
		StaticKeypair:         noise.DHKey{Private: c.StaticSecret, Public: kdf.X25519Public(c.StaticSecret)},
		PeerStatic:            c.ChannelKey,
	})
	if err != nil {
		return nil, failed(err)
	}
	message1, _, _, err := state.WriteMessage(nil, nil)
	if err != nil { // KD-003 is the library's: it refuses a result of 32 zero bytes
		return nil, failed(err)
	}
	return &Attempt{gate.Token(c.GateKey, c.AccessKey, c.Epoch, message1), message1, state}, nil
}

// Finish reads message 2 and writes message 3 (HS-010, HS-012, HS-022). Nothing of the
// client has been sent before it returns (HS-019).
func (a *Attempt) Finish(message2 []byte) (message3, payload []byte, keys Keys, err error) {
	state := a.state
	a.state = nil // KD-002: what Go's garbage collector lets us do
	if len(message2) != Message2Bytes {
		return nil, nil, Keys{}, code.New(code.HandshakeFailed, "message 2 has %d bytes", len(message2))
	}
	payload, _, _, err = state.ReadMessage(nil, message2)
	if err != nil {
		return nil, nil, Keys{}, failed(err)
	}
	if _, err := ReadReply(payload); err != nil {
		return nil, nil, Keys{}, err
	}
	message3, send, receive, err := state.WriteMessage(nil, nil)
	if err != nil {
		return nil, nil, Keys{}, failed(err)
	}
	return message3, payload, Keys{send, receive, state.ChannelBinding()}, nil
}

// ReadReply checks the payload of message 2 (HS-022).
func ReadReply(payload []byte) (r Reply, err error) {
	err = pb.Walk(payload, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.U64(&r.Sequence)
		case 2:
			return f.Data(&r.Hash)
		}
		return nil
	})
	switch {
	case err != nil, len(payload) != replyBytes, r.Sequence > sequenceMax,
		r.Sequence == 0 && len(r.Hash) != 0, r.Sequence != 0 && len(r.Hash) != 32:
		return Reply{}, code.New(code.HandshakeFailed, "the payload of message 2 breaks a rule")
	}
	return r, nil
}
