// Package transport puts frames into transport records and takes them out again
// (chapters 5.1 and 5.2).
package transport

import (
	"clawchat/code"
	"clawchat/msg"
	"clawchat/pb"
)

// Bounds of chapter 5.
const (
	RecordBytesMax    = 65535
	tagBytes          = 16
	PlaintextBytesMax = RecordBytesMax - tagBytes
	FrameBytesMax     = 65280
	smallBytesMax     = 1024
	step              = 128
	largeStep         = 1024
)

// Class is the length of the smallest record, tag included, that holds n bytes of
// plaintext (RC-012).
func Class(n int) int {
	n += tagBytes
	if n <= smallBytesMax {
		return (n + step - 1) / step * step
	}
	if c := (n + largeStep - 1) / largeStep * largeStep; c < RecordBytesMax {
		return c
	}
	return RecordBytesMax
}

// IsClass says whether a record can have this length (RC-013).
func IsClass(n int) bool { return n >= step && n <= RecordBytesMax && Class(n-tagBytes) == n }

// RowBytes is what a frame takes in a row.
func RowBytes(frame []byte) int { return len(pb.AppendUvarint(nil, uint64(len(frame)))) + len(frame) }

// Row joins frames and fills the plaintext with zeros (RC-012).
func Row(frames [][]byte) []byte {
	var row []byte
	for _, f := range frames {
		row = append(pb.AppendUvarint(row, uint64(len(f))), f...)
	}
	return append(row, make([]byte, Class(len(row))-tagBytes-len(row))...)
}

// Split takes a plaintext apart; the whole row is judged before any frame of it
// (RC-010, RC-011, RC-013).
func Split(plain []byte) ([][]byte, error) {
	malformed := code.New(code.FrameMalformed, "the row of a record breaks a rule")
	if !IsClass(len(plain) + tagBytes) {
		return nil, malformed
	}
	var frames [][]byte
	for at := 0; at < len(plain); {
		length, n := pb.Uvarint(plain[at:])
		if n == 0 || n > 1 && plain[at+n-1] == 0 || length > FrameBytesMax {
			return nil, malformed
		}
		at += n
		if length == 0 {
			for _, b := range plain[at:] {
				if b != 0 {
					return nil, malformed
				}
			}
			break
		}
		if length > uint64(len(plain)-at) {
			return nil, malformed
		}
		frames = append(frames, plain[at:at+int(length)])
		at += int(length)
	}
	return frames, nil
}

// Judge parses a frame and checks its fields (SE-002, SE-003). A frame that is to be
// ignored (SE-001) has no body.
func Judge(b []byte) (msg.Frame, error) {
	f, err := msg.ReadFrame(b)
	if err != nil || len(b) > FrameBytesMax || !fieldsValid(&f) {
		return msg.Frame{}, code.New(code.FrameMalformed, "a frame breaks a rule")
	}
	if f.Body == msg.BodyRotationNotice && (f.Notice.Kind < msg.RotationMove || f.Notice.Kind > msg.RotationRecord) {
		return msg.Frame{}, nil
	}
	return f, nil
}

const (
	sequenceMax    = 1<<53 - 1
	streamMax      = 1<<31 - 1
	payloadMax     = 65000
	serviceMax     = 32
	softwareMax    = 64
	featuresMax    = 32
	featureMax     = 32
	rotatesInMax   = 86400000
	oldEndsInMax   = 90000000
	sessionIDBytes = 16
)

// fieldsValid is the table of 5.2. Enrol and Enrolled are judged by chapter 8.
func fieldsValid(f *msg.Frame) bool {
	switch f.Body {
	case msg.BodyHello:
		for _, name := range f.Hello.Features {
			if !printable(name, featureMax) {
				return false
			}
		}
		return f.Hello.ProtocolVersion >= 1 && len(f.Hello.Features) <= featuresMax &&
			len(f.Hello.Software) <= softwareMax
	case msg.BodyAttach:
		a := f.Attach
		return len(a.SessionID) == sessionIDBytes && a.Generation >= 1 && a.Generation <= sequenceMax &&
			a.ReceivedThrough <= sequenceMax
	case msg.BodyAttached:
		a := f.Attached
		return a.Generation >= 1 && a.Generation <= sequenceMax && a.ReceivedThrough <= sequenceMax
	case msg.BodyData:
		d := f.Data
		return d.Sequence >= 1 && d.Sequence <= sequenceMax && d.Stream >= 1 && d.Stream <= streamMax &&
			len(d.Payload) <= payloadMax && (d.Open == nil || printable(*d.Open, serviceMax)) &&
			!(d.More && d.End != nil)
	case msg.BodyAck:
		return f.Ack <= sequenceMax
	case msg.BodyPing:
		return f.Ping <= sequenceMax
	case msg.BodyPong:
		return f.Pong <= sequenceMax
	case msg.BodyCredit:
		return f.Credit.Stream >= 1 && f.Credit.Stream <= streamMax && f.Credit.Limit <= sequenceMax
	case msg.BodyRotationNotice:
		return f.Notice.RotatesInMs <= rotatesInMax && f.Notice.OldEndsInMs <= oldEndsInMax
	}
	return true
}

func printable(s string, most int) bool {
	if len(s) < 1 || len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
