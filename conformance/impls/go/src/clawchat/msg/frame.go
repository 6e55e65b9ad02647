package msg

import "clawchat/pb"

// Bodies of a Frame, by their field numbers.
const (
	BodyHello = 1 + iota
	BodyAttach
	BodyAttached
	BodyData
	BodyAck
	BodyCredit
	BodyPing
	BodyPong
	BodyRotationNotice
	BodyClose
	BodyEnrol
	BodyEnrolled
)

// Frame is one frame. Body says which of its parts counts; 0 is none.
type Frame struct {
	Body     int
	Hello    Hello
	Attach   Attach
	Attached Attached
	Data     Data
	Ack      uint64
	Credit   Credit
	Ping     uint64
	Pong     uint64
	Notice   RotationNotice
	Close    Close
	Enrol    Enrol
	Enrolled Enrolled
}

// Hello is the first frame of each side.
type Hello struct {
	ProtocolVersion uint32
	Features        []string
	Software        string
}

// Attach puts a session on a path.
type Attach struct {
	SessionID       []byte
	Generation      uint64
	ReceivedThrough uint64
	Open            bool
}

// Attached answers Attach.
type Attached struct {
	Generation      uint64
	ReceivedThrough uint64
}

// Data is numbered content of a stream.
type Data struct {
	Sequence uint64
	Stream   uint32
	Payload  []byte
	More     bool
	Open     *string // the service
	End      *uint32 // the code
}

// Credit raises what may be sent on a stream.
type Credit struct {
	Stream uint32
	Limit  uint64
}

// Kinds of notices.
const (
	RotationMove = 1 + iota
	RotationHold
	RotationEmergency
	RotationRecord
)

// RotationNotice announces a move of the host, or hands over its newest record.
type RotationNotice struct {
	Kind        uint32
	RotatesInMs uint32
	OldEndsInMs uint32
	Envelope    []byte
}

// Close ends a path.
type Close struct {
	Code      uint32
	Resumable bool
}

// Enrol asks to let a device in.
type Enrol struct {
	DeviceKey []byte
	Name      string
}

// Enrolled is the answer.
type Enrolled struct {
	DeviceSecret []byte
	Envelope     []byte
	Name         string
}

// ReadFrame parses a frame. As protobuf says, the last of several bodies counts, and
// one body that stands twice is merged.
func ReadFrame(b []byte) (v Frame, err error) {
	err = pb.Walk(b, func(f pb.Field) error {
		if f.Type != pb.Bytes || f.Number > BodyEnrolled {
			return nil
		}
		if v.Body != f.Number {
			v = Frame{Body: f.Number}
		}
		return pb.Walk(f.Bytes, func(in pb.Field) error { return v.field(in) })
	})
	return v, err
}

func (v *Frame) field(f pb.Field) error {
	switch v.Body {
	case BodyHello:
		return v.Hello.field(f)
	case BodyAttach:
		return v.Attach.field(f)
	case BodyData:
		return v.Data.field(f)
	case BodyRotationNotice:
		return v.Notice.field(f)
	case BodyEnrolled:
		return v.Enrolled.field(f)
	}
	switch v.Body<<8 | f.Number {
	case BodyAttached<<8 | 1:
		return f.U64(&v.Attached.Generation)
	case BodyAttached<<8 | 2:
		return f.U64(&v.Attached.ReceivedThrough)
	case BodyAck<<8 | 1:
		return f.U64(&v.Ack)
	case BodyCredit<<8 | 1:
		return f.U32(&v.Credit.Stream)
	case BodyCredit<<8 | 2:
		return f.U64(&v.Credit.Limit)
	case BodyPing<<8 | 1:
		return f.U64(&v.Ping)
	case BodyPong<<8 | 1:
		return f.U64(&v.Pong)
	case BodyClose<<8 | 1:
		return f.U32(&v.Close.Code)
	case BodyClose<<8 | 2:
		return f.Bool(&v.Close.Resumable)
	case BodyEnrol<<8 | 1:
		return f.Data(&v.Enrol.DeviceKey)
	case BodyEnrol<<8 | 2:
		return f.Text(&v.Enrol.Name)
	}
	return nil
}

func (v *Hello) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.U32(&v.ProtocolVersion)
	case 2:
		if f.Type != pb.Bytes {
			return nil
		}
		var name string
		err := f.Text(&name)
		v.Features = append(v.Features, name)
		return err
	case 3:
		return f.Text(&v.Software)
	}
	return nil
}

func (v *Attach) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.Data(&v.SessionID)
	case 2:
		return f.U64(&v.Generation)
	case 3:
		return f.U64(&v.ReceivedThrough)
	case 4:
		return f.Bool(&v.Open)
	}
	return nil
}

func (v *Data) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.U64(&v.Sequence)
	case 2:
		return f.U32(&v.Stream)
	case 3:
		return f.Data(&v.Payload)
	case 4:
		return f.Bool(&v.More)
	}
	if f.Type != pb.Bytes {
		return nil
	}
	switch f.Number {
	case 5:
		if v.Open == nil {
			v.Open = new(string)
		}
		return pb.Walk(f.Bytes, func(in pb.Field) error {
			if in.Number == 1 {
				return in.Text(v.Open)
			}
			return nil
		})
	case 6:
		if v.End == nil {
			v.End = new(uint32)
		}
		return pb.Walk(f.Bytes, func(in pb.Field) error {
			if in.Number == 1 {
				return in.U32(v.End)
			}
			return nil
		})
	}
	return nil
}

func (v *RotationNotice) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.U32(&v.Kind)
	case 2:
		return f.U32(&v.RotatesInMs)
	case 3:
		return f.U32(&v.OldEndsInMs)
	case 4:
		return f.Data(&v.Envelope)
	}
	return nil
}

func (v *Enrolled) field(f pb.Field) error {
	switch f.Number {
	case 1:
		return f.Data(&v.DeviceSecret)
	case 2:
		return f.Data(&v.Envelope)
	case 3:
		return f.Text(&v.Name)
	}
	return nil
}

// Bytes encodes a frame that a client sends.
func (v Frame) Bytes() []byte {
	var in, out pb.Writer
	switch v.Body {
	case BodyHello:
		in.Uint(1, uint64(v.Hello.ProtocolVersion))
		for _, name := range v.Hello.Features {
			in.Text(2, name)
		}
		in.Text(3, v.Hello.Software)
	case BodyAttach:
		in.Bytes(1, v.Attach.SessionID).Uint(2, v.Attach.Generation)
		in.Uint(3, v.Attach.ReceivedThrough).Bool(4, v.Attach.Open)
	case BodyData:
		d := v.Data
		in.Uint(1, d.Sequence).Uint(2, uint64(d.Stream)).Bytes(3, d.Payload).Bool(4, d.More)
		if d.Open != nil {
			var w pb.Writer
			in.Message(5, w.Text(1, *d.Open).Done())
		}
		if d.End != nil {
			var w pb.Writer
			in.Message(6, w.Uint(1, uint64(*d.End)).Done())
		}
	case BodyAck:
		in.Uint(1, v.Ack)
	case BodyCredit:
		in.Uint(1, uint64(v.Credit.Stream)).Uint(2, v.Credit.Limit)
	case BodyPing:
		in.Uint(1, v.Ping)
	case BodyPong:
		in.Uint(1, v.Pong)
	case BodyClose:
		in.Uint(1, uint64(v.Close.Code)).Bool(2, v.Close.Resumable)
	case BodyEnrol:
		in.Bytes(1, v.Enrol.DeviceKey).Text(2, v.Enrol.Name)
	}
	return out.Message(v.Body, in.Done()).Done()
}
