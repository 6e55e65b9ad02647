package connfile

import (
	"bytes"
	"crypto/ed25519"

	"clawchat/code"
	"clawchat/kdf"
	"clawchat/msg"
)

const (
	successionsMax = 16
	sequenceMax    = 1<<53 - 1
)

// chain is what following the successions of an envelope results in.
type chain struct {
	identity []byte // the key that signs the payload
	next     []byte // the next-identity hash the record must name; nil for any
	floor    uint64 // the lowest sequence that counts
	followed int
}

// follow goes along the chain from the identity key that the client holds
// (CF-010, CF-011).
func follow(successions []msg.Succession, trust Trust) (chain, error) {
	invalid := func(why string) (chain, error) {
		return chain{}, code.New(code.SuccessionInvalid, "%s", why)
	}
	c := chain{identity: trust.Identity, next: trust.NextIdentityHash}
	if len(successions) == 0 {
		return c, nil
	}
	if len(successions) > successionsMax {
		return invalid("too many successions")
	}
	statements := make([]msg.Statement, len(successions))
	begin := -1
	for i, s := range successions {
		st, err := msg.ReadStatement(s.Statement)
		if err != nil || !wellFormed(st, i) || len(s.OldSignature) != ed25519.SignatureSize ||
			len(s.NewSignature) != ed25519.SignatureSize {
			return invalid("a statement breaks a rule")
		}
		statements[i] = st
		if begin < 0 && bytes.Equal(st.OldIdentity, trust.Identity) {
			begin = i
		}
	}
	last := statements[len(statements)-1]
	c.floor = last.SequenceFloor // CF-013, also when nothing is followed
	if begin < 0 {
		if !bytes.Equal(last.NewIdentity, trust.Identity) {
			return invalid("the chain does not contain the key that is held")
		}
		return c, nil
	}
	for i := begin; i < len(statements); i++ {
		st, s := statements[i], successions[i]
		signed := kdf.SignedSuccession(s.Statement)
		named := c.next == nil && i == begin || bytes.Equal(kdf.NextIdentity(st.NewIdentity), c.next)
		if !named || !bytes.Equal(st.ServerID, trust.ServerID) || !bytes.Equal(st.OldIdentity, c.identity) ||
			!verify(st.OldIdentity, signed, s.OldSignature) || !verify(st.NewIdentity, signed, s.NewSignature) {
			return invalid("a succession does not hold")
		}
		c.identity, c.next = st.NewIdentity, st.NextIdentityHash
		c.followed++
	}
	return c, nil
}

// wellFormed checks the lengths and the place of the i-th statement, counted from 0.
func wellFormed(st msg.Statement, i int) bool {
	return len(st.ServerID) == 32 && len(st.OldIdentity) == 32 && len(st.NewIdentity) == 32 &&
		len(st.NextIdentityHash) == 32 && st.Index == uint32(i+1) && st.SequenceFloor <= sequenceMax
}
