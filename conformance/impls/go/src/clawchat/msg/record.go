package msg

import "clawchat/pb"

// Header is a ConnectionFileHeader.
type Header struct {
	Version uint32
	Salt    []byte
	Stanzas []byte
	Padding []byte
}

// ReadHeader parses a ConnectionFileHeader.
func ReadHeader(b []byte) (v Header, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.U32(&v.Version)
		case 2:
			return f.Data(&v.Salt)
		case 3:
			return f.Data(&v.Stanzas)
		case 4:
			return f.Data(&v.Padding)
		}
		return nil
	})
	return v, err
}

// Envelope is a SignedEnvelope.
type Envelope struct {
	Payload     []byte
	Signature   []byte
	Successions []Succession
}

// Succession is a statement with both its signatures.
type Succession struct {
	Statement    []byte
	OldSignature []byte
	NewSignature []byte
}

// ReadEnvelope parses a SignedEnvelope.
func ReadEnvelope(b []byte) (v Envelope, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.Data(&v.Payload)
		case 2:
			return f.Data(&v.Signature)
		case 3:
			if f.Type != pb.Bytes {
				return nil
			}
			var s Succession
			err := pb.Walk(f.Bytes, func(in pb.Field) error {
				switch in.Number {
				case 1:
					return in.Data(&s.Statement)
				case 2:
					return in.Data(&s.OldSignature)
				case 3:
					return in.Data(&s.NewSignature)
				}
				return nil
			})
			v.Successions = append(v.Successions, s)
			return err
		}
		return nil
	})
	return v, err
}

// Bytes encodes the envelope.
func (v Envelope) Bytes() []byte {
	var w pb.Writer
	w.Bytes(1, v.Payload).Bytes(2, v.Signature)
	for _, s := range v.Successions {
		var in pb.Writer
		w.Message(3, in.Bytes(1, s.Statement).Bytes(2, s.OldSignature).Bytes(3, s.NewSignature).Done())
	}
	return w.Done()
}

// Statement is a SuccessionStatement.
type Statement struct {
	ServerID         []byte
	Index            uint32
	OldIdentity      []byte
	NewIdentity      []byte
	NextIdentityHash []byte
	SequenceFloor    uint64
}

// ReadStatement parses a SuccessionStatement.
func ReadStatement(b []byte) (v Statement, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.Data(&v.ServerID)
		case 2:
			return f.U32(&v.Index)
		case 3:
			return f.Data(&v.OldIdentity)
		case 4:
			return f.Data(&v.NewIdentity)
		case 5:
			return f.Data(&v.NextIdentityHash)
		case 6:
			return f.U64(&v.SequenceFloor)
		}
		return nil
	})
	return v, err
}

// Record is a ConnectionRecord.
type Record struct {
	ProtocolVersion  uint32
	ServerID         []byte
	Epoch            uint64
	Sequence         uint64
	IssuedAtMs       uint64
	ValidUntilMs     uint64
	NextRotationMs   uint64
	Endpoints        []Endpoint
	ChannelKeys      []ChannelKey
	TLSPins          [][]byte
	AccessKeys       []AccessKey
	NextIdentityHash []byte
	Suites           []uint64
	Stores           []Store
}

// Endpoint is one address of the host.
type Endpoint struct {
	Host                    string
	Port                    uint32
	NotBeforeMs, NotAfterMs uint64
}

// ChannelKey is one X25519 key of the host.
type ChannelKey struct {
	PublicKey  []byte
	NotAfterMs uint64
}

// AccessKey is one input of the gate.
type AccessKey struct {
	Epoch uint64
	Key   []byte
}

// ReadRecord parses a ConnectionRecord.
func ReadRecord(b []byte) (v Record, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.U32(&v.ProtocolVersion)
		case 2:
			return f.Data(&v.ServerID)
		case 3:
			return f.U64(&v.Epoch)
		case 4:
			return f.U64(&v.Sequence)
		case 5:
			return f.U64(&v.IssuedAtMs)
		case 6:
			return f.U64(&v.ValidUntilMs)
		case 7:
			return f.U64(&v.NextRotationMs)
		case 12:
			return f.Data(&v.NextIdentityHash)
		case 13:
			return f.U64s(&v.Suites)
		case 14:
			return eachStore(f, &v.Stores)
		}
		if f.Type != pb.Bytes {
			return nil
		}
		switch f.Number {
		case 8:
			e, err := readEndpoint(f.Bytes)
			v.Endpoints = append(v.Endpoints, e)
			return err
		case 9:
			k, err := readChannelKey(f.Bytes)
			v.ChannelKeys = append(v.ChannelKeys, k)
			return err
		case 10:
			v.TLSPins = append(v.TLSPins, f.Bytes)
		case 11:
			k, err := readAccessKey(f.Bytes)
			v.AccessKeys = append(v.AccessKeys, k)
			return err
		}
		return nil
	})
	return v, err
}

func readEndpoint(b []byte) (v Endpoint, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.Text(&v.Host)
		case 2:
			return f.U32(&v.Port)
		case 3:
			return f.U64(&v.NotBeforeMs)
		case 4:
			return f.U64(&v.NotAfterMs)
		}
		return nil
	})
	return v, err
}

func readChannelKey(b []byte) (v ChannelKey, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.Data(&v.PublicKey)
		case 2:
			return f.U64(&v.NotAfterMs)
		}
		return nil
	})
	return v, err
}

func readAccessKey(b []byte) (v AccessKey, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		switch f.Number {
		case 1:
			return f.U64(&v.Epoch)
		case 2:
			return f.Data(&v.Key)
		}
		return nil
	})
	return v, err
}
