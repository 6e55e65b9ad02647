// Package pb is the small part of the protobuf wire format that ClawChat/1 needs:
// a walker over the fields of a message and a writer that leaves out default values.
package pb

import (
	"errors"
	"unicode/utf8"
)

// ErrMalformed says that bytes are no well-formed protobuf message of their type.
var ErrMalformed = errors.New("malformed protobuf message")

// Wire types.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2
	group   = 3
	endOf   = 4
	Fixed32 = 5
)

// Field is one field as it stands in an encoded message.
type Field struct {
	Number int
	Type   int
	Varint uint64 // of wire type Varint
	Bytes  []byte // of wire type Bytes
}

// Uvarint reads one varint of at most 10 bytes and says how many bytes it took; 0
// when there is none.
func Uvarint(b []byte) (uint64, int) {
	var v uint64
	for i := 0; i < len(b) && i < 10; i++ {
		if i == 9 && b[i] > 1 {
			return 0, 0
		}
		v |= uint64(b[i]&0x7f) << (7 * uint(i))
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}

// AppendUvarint appends the shortest form of v.
func AppendUvarint(b []byte, v uint64) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

// Walk calls f for each field of the message. Groups are checked and passed over.
func Walk(b []byte, f func(Field) error) error {
	for len(b) > 0 {
		field, n, err := next(b, 0)
		if err != nil {
			return err
		}
		b = b[n:]
		if field.Type == group {
			continue
		}
		if err := f(field); err != nil {
			return err
		}
	}
	return nil
}

func next(b []byte, depth int) (Field, int, error) {
	key, n := Uvarint(b)
	number := key >> 3
	if n == 0 || number < 1 || number > 1<<29-1 {
		return Field{}, 0, ErrMalformed
	}
	f := Field{Number: int(number), Type: int(key & 7)}
	rest := b[n:]
	switch f.Type {
	case Varint:
		v, m := Uvarint(rest)
		if m == 0 {
			return f, 0, ErrMalformed
		}
		f.Varint = v
		return f, n + m, nil
	case Fixed64, Fixed32:
		width := 8
		if f.Type == Fixed32 {
			width = 4
		}
		if len(rest) < width {
			return f, 0, ErrMalformed
		}
		return f, n + width, nil
	case Bytes:
		length, m := Uvarint(rest)
		if m == 0 || length > uint64(len(rest)-m) {
			return f, 0, ErrMalformed
		}
		f.Bytes = rest[m : m+int(length)]
		return f, n + m + int(length), nil
	case group:
		if depth > 64 {
			return f, 0, ErrMalformed
		}
		for at := n; ; {
			inner, m, err := next(b[at:], depth+1)
			if err != nil {
				return f, 0, err
			}
			at += m
			if inner.Type == endOf {
				if inner.Number != f.Number {
					return f, 0, ErrMalformed
				}
				return f, at, nil
			}
		}
	case endOf:
		if depth == 0 {
			return f, 0, ErrMalformed
		}
		return f, n, nil
	}
	return f, 0, ErrMalformed
}

// U64 stores the value of a uint64 field. A field of another wire type is one that
// the reader does not know.
func (f Field) U64(to *uint64) error {
	if f.Type == Varint {
		*to = f.Varint
	}
	return nil
}

// U32 is U64 for uint32 and enum fields, which keep the low 32 bits.
func (f Field) U32(to *uint32) error {
	if f.Type == Varint {
		*to = uint32(f.Varint)
	}
	return nil
}

// Bool stores a bool field.
func (f Field) Bool(to *bool) error {
	if f.Type == Varint {
		*to = f.Varint != 0
	}
	return nil
}

// Data stores a bytes field.
func (f Field) Data(to *[]byte) error {
	if f.Type == Bytes {
		*to = f.Bytes
	}
	return nil
}

// Text stores a string field, which is valid UTF-8.
func (f Field) Text(to *string) error {
	if f.Type == Bytes {
		if !utf8.Valid(f.Bytes) {
			return ErrMalformed
		}
		*to = string(f.Bytes)
	}
	return nil
}

// U64s appends to a repeated uint64 field, packed or not.
func (f Field) U64s(to *[]uint64) error {
	switch f.Type {
	case Varint:
		*to = append(*to, f.Varint)
	case Bytes:
		for b := f.Bytes; len(b) > 0; {
			v, n := Uvarint(b)
			if n == 0 {
				return ErrMalformed
			}
			*to = append(*to, v)
			b = b[n:]
		}
	}
	return nil
}

// Writer builds a message; fields are added in the order of their numbers.
type Writer struct{ b []byte }

// Done returns the encoded message.
func (w *Writer) Done() []byte { return w.b }

func (w *Writer) key(number, kind int) {
	w.b = AppendUvarint(w.b, uint64(number)<<3|uint64(kind))
}

// Uint adds a number unless it is 0.
func (w *Writer) Uint(number int, v uint64) *Writer {
	if v != 0 {
		w.key(number, Varint)
		w.b = AppendUvarint(w.b, v)
	}
	return w
}

// Bool adds true.
func (w *Writer) Bool(number int, v bool) *Writer {
	if v {
		w.Uint(number, 1)
	}
	return w
}

// Bytes adds bytes unless there are none.
func (w *Writer) Bytes(number int, b []byte) *Writer {
	if len(b) > 0 {
		w.Message(number, b)
	}
	return w
}

// Text adds a string unless it is empty.
func (w *Writer) Text(number int, s string) *Writer { return w.Bytes(number, []byte(s)) }

// Message adds an encoded message, also an empty one.
func (w *Writer) Message(number int, b []byte) *Writer {
	w.key(number, Bytes)
	w.b = AppendUvarint(w.b, uint64(len(b)))
	w.b = append(w.b, b...)
	return w
}
