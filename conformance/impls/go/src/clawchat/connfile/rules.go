package connfile

import (
	"bytes"

	"clawchat/code"
	"clawchat/msg"
)

const (
	timeEnd          = 1 << 53
	channelKeyMargin = 604800000
	// SuiteNoise is suite 1, the only one that this client speaks.
	SuiteNoise = 1
)

// readRecord applies the table of 3.3 from top to bottom (CF-020).
func readRecord(payload, serverID []byte) (msg.Record, error) {
	invalid := func(field string) error {
		return code.New(code.RecordInvalid, "the record's %s breaks a rule", field)
	}
	r, err := msg.ReadRecord(payload)
	if err != nil {
		return r, invalid("encoding")
	}
	switch {
	case r.ProtocolVersion != 1:
		return r, code.New(code.VersionUnsupported, "record of protocol version %d", r.ProtocolVersion)
	case !bytes.Equal(r.ServerID, serverID):
		return r, code.New(code.ServerMismatch, "the record is another host's")
	case !numbered(r.Epoch):
		return r, invalid("epoch")
	case !numbered(r.Sequence):
		return r, invalid("sequence")
	case r.ValidUntilMs >= timeEnd, r.IssuedAtMs >= r.NextRotationMs, r.NextRotationMs > r.ValidUntilMs:
		return r, invalid("times")
	case !endpointsValid(r.Endpoints):
		return r, invalid("endpoints")
	case !channelKeysValid(r):
		return r, invalid("channel_keys")
	case len(r.TLSPins) > 4 || !all32(r.TLSPins):
		return r, invalid("tls_pins")
	case !accessKeysValid(r):
		return r, invalid("access_keys")
	case len(r.NextIdentityHash) != 32:
		return r, invalid("next_identity_hash")
	case len(r.Suites) < 1 || len(r.Suites) > 8:
		return r, invalid("suites")
	case !speaks(r.Suites):
		return r, code.New(code.VersionUnsupported, "no suite of the record is known")
	case !msg.ValidStores(r.Stores):
		return r, invalid("stores")
	}
	return r, nil
}

func numbered(v uint64) bool { return v >= 1 && v <= sequenceMax }

func endpointsValid(endpoints []msg.Endpoint) bool {
	if len(endpoints) < 1 || len(endpoints) > 16 {
		return false
	}
	for _, e := range endpoints {
		if len(e.Host) < 1 || len(e.Host) > 253 || e.Port < 1 || e.Port > 65535 ||
			e.NotBeforeMs >= e.NotAfterMs || e.NotAfterMs >= timeEnd {
			return false
		}
		for i := 0; i < len(e.Host); i++ {
			c := e.Host[i]
			if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' ||
				bytes.IndexByte([]byte(".-:_%"), c) >= 0) {
				return false
			}
		}
	}
	return true
}

func channelKeysValid(r msg.Record) bool {
	if len(r.ChannelKeys) < 1 || len(r.ChannelKeys) > 4 {
		return false
	}
	for _, k := range r.ChannelKeys {
		if len(k.PublicKey) != 32 || k.NotAfterMs >= timeEnd || k.NotAfterMs < r.ValidUntilMs+channelKeyMargin {
			return false
		}
	}
	return true
}

func accessKeysValid(r msg.Record) bool {
	if len(r.AccessKeys) < 1 || len(r.AccessKeys) > 4 || r.AccessKeys[0].Epoch != r.Epoch {
		return false
	}
	for _, k := range r.AccessKeys {
		if len(k.Key) != 32 || !numbered(k.Epoch) {
			return false
		}
	}
	return true
}

func all32(list [][]byte) bool {
	for _, b := range list {
		if len(b) != 32 {
			return false
		}
	}
	return true
}

func speaks(suites []uint64) bool {
	for _, s := range suites {
		if uint32(s) == SuiteNoise {
			return true
		}
	}
	return false
}
