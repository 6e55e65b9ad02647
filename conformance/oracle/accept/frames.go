// Records and frames, as little of them as this host needs (spec/05-session.md).
package main

import (
	"encoding/binary"
	"fmt"
)

// Numbers of the bodies in frame.proto.
const (
	frameHello    = 1
	frameAttach   = 2
	frameAttached = 3
	frameData     = 4
	frameAck      = 5
	framePing     = 7
	framePong     = 8
	frameClose    = 10
)

const (
	tagBytes         = 16
	stepBytes        = 128
	smallBytesMax    = 1024
	largeStepBytes   = 1024
	recordBytesMax   = 65535
	wireVarint       = 0
	wireBytes        = 2
	fieldNumberShift = 3
)

// Take the plaintext of a record apart (RC-010 to RC-013).
func readRow(plaintext []byte) ([][]byte, error) {
	if padded(len(plaintext)) != len(plaintext) {
		return nil, fmt.Errorf("a record of %d bytes", len(plaintext)+tagBytes)
	}
	var frames [][]byte
	for rest := plaintext; len(rest) > 0; {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return nil, fmt.Errorf("a length is malformed")
		}
		if length == 0 {
			for _, each := range rest {
				if each != 0 {
					return nil, fmt.Errorf("padding is not zero")
				}
			}
			return frames, nil
		}
		frames = append(frames, rest[n:n+int(length)])
		rest = rest[n+int(length):]
	}
	return frames, nil
}

// Put frames into the plaintext of a record (RC-012).
func writeRow(frames [][]byte) []byte {
	var row []byte
	for _, each := range frames {
		row = append(binary.AppendUvarint(row, uint64(len(each))), each...)
	}
	return append(row, make([]byte, padded(len(row))-len(row))...)
}

func padded(length int) int {
	wire, step := length+tagBytes, stepBytes
	if wire > smallBytesMax {
		step = largeStepBytes
	}
	wire = (wire + step - 1) / step * step
	if wire > recordBytesMax {
		wire = recordBytesMax
	}
	return wire - tagBytes
}

type field struct {
	number int
	value  uint64
	bytes  []byte
}

// A protobuf message, field by field.
type message []field

// Parse what a client that breaks no rule has written; anything else is cut off where it stops making sense.
func parse(encoded []byte) message {
	var m message
	for rest := encoded; len(rest) > 0; {
		tag, n := binary.Uvarint(rest)
		if n <= 0 {
			return m
		}
		rest = rest[n:]
		value, n := binary.Uvarint(rest)
		if n <= 0 {
			return m
		}
		rest = rest[n:]
		f := field{number: int(tag >> fieldNumberShift), value: value}
		switch tag & 7 {
		case wireVarint:
		case wireBytes:
			if value > uint64(len(rest)) {
				return m
			}
			f.bytes, rest = rest[:value], rest[value:]
		default:
			return m
		}
		m = append(m, f)
	}
	return m
}

// The last field: of a frame, its body.
func (m message) last() (int, message) {
	if len(m) == 0 {
		return 0, nil
	}
	body := m[len(m)-1]
	return body.number, parse(body.bytes)
}

func (m message) number(number int) uint64 {
	var value uint64
	for _, f := range m {
		if f.number == number {
			value = f.value
		}
	}
	return value
}

func (m message) bytes(number int) []byte {
	var value []byte
	for _, f := range m {
		if f.number == number {
			value = f.bytes
		}
	}
	return value
}

func frame(number int, parts ...[]byte) []byte {
	var body []byte
	for _, part := range parts {
		body = append(body, part...)
	}
	return bytesField(number, body)
}

func bytesField(number int, content []byte) []byte {
	head := binary.AppendUvarint([]byte{byte(number<<fieldNumberShift | wireBytes)}, uint64(len(content)))
	return append(head, content...)
}

func varintField(number int, value uint64) []byte {
	return binary.AppendUvarint([]byte{byte(number << fieldNumberShift)}, value)
}
