package handshake

import (
	"bytes"
	"io"

	"github.com/flynn/noise"

	"clawchat/code"
	"clawchat/kdf"
)

// Host is the other side of a handshake behind its gate. A client does not need it:
// it is here so that the vectors of both sides can be run.
type Host struct {
	ServerID    []byte
	Epoch       uint64
	ChannelKeys [][]byte // private keys that have not expired
	PSK         []byte
	Static      []byte // the public key that belongs to the token's handle
	Random      io.Reader
	Payload     []byte // of message 2
}

// Answer tries message 1 with each channel key (HS-011) and writes message 2.
func (h Host) Answer(message1 []byte) (message2 []byte, state *noise.HandshakeState, err error) {
	err = code.New(code.HandshakeFailed, "no channel key")
	for _, key := range h.ChannelKeys {
		state, bad := noise.NewHandshakeState(noise.Config{
			CipherSuite:           Suite,
			Random:                h.Random,
			Pattern:               noise.HandshakeXK,
			Prologue:              kdf.Prologue(1, 1, h.ServerID, h.Epoch),
			PresharedKey:          h.PSK,
			PresharedKeyPlacement: 3,
			StaticKeypair:         noise.DHKey{Private: key, Public: kdf.X25519Public(key)},
		})
		if bad != nil {
			return nil, nil, failed(bad)
		}
		if _, _, _, bad := state.ReadMessage(nil, message1); bad != nil {
			err = failed(bad)
			continue
		}
		message2, _, _, bad := state.WriteMessage(nil, h.Payload)
		if bad != nil {
			return nil, nil, failed(bad)
		}
		return message2, state, nil
	}
	return nil, nil, err
}

// Finish reads message 3 and checks whose static key it brought (HS-012, HS-014).
func (h Host) Finish(state *noise.HandshakeState, message3 []byte) (Keys, error) {
	if len(message3) != Message3Bytes {
		return Keys{}, code.New(code.HandshakeFailed, "message 3 has %d bytes", len(message3))
	}
	_, receive, send, err := state.ReadMessage(nil, message3)
	if err != nil {
		return Keys{}, failed(err)
	}
	if !bytes.Equal(state.PeerStatic(), h.Static) {
		return Keys{}, code.New(code.HandshakeFailed, "another static key")
	}
	return Keys{send, receive, state.ChannelBinding()}, nil
}
