package vectors

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"clawchat/kdf"
)

type vectorFile struct {
	Shared  object            `json:"shared"`
	Vectors []vector          `json:"vectors"`
	byID    map[string]vector // for files that are made of another vector's
}

type vector struct {
	ID       string   `json:"id"`
	Input    object   `json:"input"`
	Output   object   `json:"output"`
	Error    string   `json:"error"`
	Also     []string `json:"also"`
	Released string   `json:"released"`
	file     *vectorFile
}

// object is a JSON object; its methods panic on a value of another kind, which fails
// the vector.
type object map[string]interface{}

func (o object) has(key string) bool { return o[key] != nil }

func (o object) text(key string) string {
	s, ok := o[key].(string)
	if !ok {
		panic("no text: " + key)
	}
	return s
}

func (o object) number(key string) uint64 { return number(o[key]) }

func (o object) yes(key string) bool { return o[key] == true }

func (o object) object(key string) object { return asObject(o[key]) }

func (o object) list(key string) []interface{} {
	l, _ := o[key].([]interface{})
	return l
}

func (o object) bytes(key string) []byte { return asBytes(o[key]) }

func asObject(v interface{}) object {
	m, ok := v.(map[string]interface{})
	if !ok {
		return nil
	}
	return m
}

func number(v interface{}) uint64 {
	n, err := strconv.ParseUint(string(v.(json.Number)), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// asBytes reads hexadecimal, or a stream of bytes with what stands in front of it.
func asBytes(v interface{}) []byte {
	if s, ok := v.(string); ok {
		b, err := hex.DecodeString(s)
		if err != nil {
			panic(err)
		}
		return b
	}
	o := asObject(v)
	if o == nil {
		panic(fmt.Sprintf("no bytes: %v", v))
	}
	var b []byte
	if o.has("prefix") {
		b = o.bytes("prefix")
	}
	if !o.has("stream") {
		panic("no stream")
	}
	b = append(b, stream(o.text("stream"), int(o.number("length")))...)
	if o.has("zeros") {
		b = append(b, make([]byte, o.number("zeros"))...)
	}
	if o.has("suffix") {
		b = append(b, o.bytes("suffix")...)
	}
	return b
}

// stream is the first n bytes of SHA-256(name || 00000000) || SHA-256(name || 00000001) ...
func stream(name string, n int) []byte {
	var b []byte
	for i := uint32(0); len(b) < n; i++ {
		h := sha256.Sum256(append([]byte(name), kdf.U32(i)...))
		b = append(b, h[:]...)
	}
	return b[:n]
}

func hx(b []byte) string { return hex.EncodeToString(b) }
