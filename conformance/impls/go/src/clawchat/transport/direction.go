package transport

import (
	"github.com/flynn/noise"

	"clawchat/code"
)

// Numbers of records of a direction of a path.
const (
	RecordsSoftMax = 524288
	RecordsHardMax = 1048576
)

// Direction seals or opens the records of one direction of a path. The nonce of a
// record is its place, counted from 0 (RC-002).
type Direction struct {
	Cipher noise.Cipher
	Place  uint64
}

// Seal makes one record of frames that fit (RC-001).
func (d *Direction) Seal(frames [][]byte) ([]byte, error) {
	row := Row(frames)
	if d.Place >= RecordsHardMax { // RC-005
		return nil, code.New(code.TransportExhausted, "the path is used up")
	}
	record := d.Cipher.Encrypt(nil, d.Place, nil, row)
	d.Place++
	return record, nil
}

// Open opens one record and returns its frames (RC-003, RC-013).
func (d *Direction) Open(record []byte) ([][]byte, error) {
	if d.Place >= RecordsHardMax { // RC-005
		return nil, code.New(code.TransportExhausted, "the path is used up")
	}
	failed := code.New(code.TransportFailed, "a record does not open")
	if len(record) < tagBytes || len(record) > RecordBytesMax {
		return nil, failed
	}
	plain, err := d.Cipher.Decrypt(nil, d.Place, nil, record)
	if err != nil {
		return nil, failed
	}
	d.Place++
	return Split(plain)
}
