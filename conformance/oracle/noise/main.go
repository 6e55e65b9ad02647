// Prints transcripts of Noise_XKpsk3_25519_AESGCM_SHA256 as made by flynn/noise, an implementation that shares
// nothing with src/. Its output is test-vectors/noise/xkpsk3.json; every byte of it is determined.
//
// Debian: golang-go, golang-github-flynn-noise-dev. Run from the repository's root:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run conformance/oracle/noise/main.go
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/flynn/noise"
)

type keyPair struct {
	Private string `json:"private"`
	Public  string `json:"public"`
}

type side struct {
	Static    keyPair `json:"static"`
	Ephemeral keyPair `json:"ephemeral"`
}

type message struct {
	From    string `json:"from"`
	Payload string `json:"payload"`
	Message string `json:"message"`
	// The handshake hash after this message.
	Debug map[string]string `json:"debug"`
}

type record struct {
	From       string `json:"from"`
	Plaintext  string `json:"plaintext"`
	Ciphertext string `json:"ciphertext"`
}

// Records too many or too long to be written out: the plaintext is one byte, repeated, and the ciphertexts are hashed
// one behind the other.
type series struct {
	From              string `json:"from"`
	Count             int    `json:"count"`
	PlaintextByte     string `json:"plaintext_byte"`
	PlaintextLength   int    `json:"plaintext_length"`
	CiphertextsSha256 string `json:"ciphertexts_sha256"`
}

type vector struct {
	ID            string    `json:"id"`
	Note          string    `json:"note"`
	Req           []string  `json:"req"`
	Prologue      string    `json:"prologue"`
	Psk           string    `json:"psk"`
	Initiator     side      `json:"initiator"`
	Responder     side      `json:"responder"`
	Messages      []message `json:"messages"`
	HandshakeHash string    `json:"handshake_hash"`
	Transport     []record  `json:"transport"`
	Series        []series  `json:"series"`
}

type file struct {
	Schema   string   `json:"$schema"`
	Family   string   `json:"family"`
	Protocol string   `json:"protocol"`
	Source   string   `json:"source"`
	Vectors  []vector `json:"vectors"`
}

type sample struct {
	id, note  string
	prologue  []byte
	payloads  [3]int
	transport []int
	series    [][2]int
}

const (
	initiator = 0
	responder = 1
)

var names = [2]string{"initiator", "responder"}

func main() {
	// The prologue of spec/04-handshake.md: version 1, suite 1, a server id, epoch 7.
	prologue := append([]byte("\x13ClawChat/1 prologue\x00\x01\x00\x01"), fixed("server id", 32)...)
	prologue = append(prologue, 0, 0, 0, 0, 0, 0, 0, 7)
	samples := []sample{
		{"noise-xkpsk3-as-used", "the payloads that ClawChat/1 has", prologue, [3]int{0, 64, 0}, []int{240, 240, 496}, nil},
		{"noise-xkpsk3-bare", "no prologue, no payloads", nil, [3]int{0, 0, 0}, []int{0, 1, 0, 0}, nil},
		{"noise-xkpsk3-payloads", "a payload in each message", prologue, [3]int{1, 32, 255}, []int{15, 16, 17}, nil},
		{"noise-xkpsk3-long-prologue", "a prologue longer than a block of the hash", fixed("long prologue", 300), [3]int{16, 17, 1000},
			[]int{1000}, nil},
		{"noise-xkpsk3-counters", "nonces of more than one byte, and the longest record", prologue, [3]int{0, 64, 0}, []int{1},
			[][2]int{{70000, 1}, {3, 65519}}},
	}
	vectors := []vector{}
	for _, s := range samples {
		vectors = append(vectors, run(s))
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	check(out.Encode(file{
		Schema:   "../schema/noise.schema.json",
		Family:   "noise-xkpsk3",
		Protocol: "Noise_XKpsk3_25519_AESGCM_SHA256",
		Source:   "flynn/noise 1.0.0 by conformance/oracle/noise/main.go",
		Vectors:  vectors,
	}))
}

func run(s sample) vector {
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	psk := fixed(s.id+" psk", 32)
	var sides [2]side
	var statics [2]noise.DHKey
	var ephemerals [2][]byte
	for i, name := range names {
		statics[i] = pair(suite, fixed(s.id+" "+name+" static", 32))
		ephemerals[i] = fixed(s.id+" "+name+" ephemeral", 32)
		sides[i] = side{show(statics[i]), show(pair(suite, ephemerals[i]))}
	}
	var states [2]*noise.HandshakeState
	for i := range names {
		config := noise.Config{
			CipherSuite: suite, Random: bytes.NewReader(ephemerals[i]), Pattern: noise.HandshakeXK,
			Initiator: i == initiator, Prologue: s.prologue, PresharedKey: psk, PresharedKeyPlacement: 3,
			StaticKeypair: statics[i],
		}
		if i == initiator {
			config.PeerStatic = statics[responder].Public
		}
		state, err := noise.NewHandshakeState(config)
		check(err)
		states[i] = state
	}
	v := vector{
		ID: s.id, Note: s.note, Req: []string{"HS-010~1"}, Prologue: hex.EncodeToString(s.prologue),
		Psk: hex.EncodeToString(psk), Initiator: sides[initiator], Responder: sides[responder],
		Transport: []record{}, Series: []series{},
	}
	// By sender: what it seals with, and what the other opens with.
	var seal, open [2]*noise.CipherState
	for i, length := range s.payloads {
		from, to := i%2, 1-i%2
		payload := fixed(fmt.Sprintf("%s payload %d", s.id, i+1), length)
		msg, w1, w2, err := states[from].WriteMessage(nil, payload)
		check(err)
		got, r1, r2, err := states[to].ReadMessage(nil, msg)
		check(err)
		same(got, payload)
		same(states[from].ChannelBinding(), states[to].ChannelBinding())
		h := hex.EncodeToString(states[from].ChannelBinding())
		v.Messages = append(v.Messages, message{names[from], hex.EncodeToString(payload), hex.EncodeToString(msg), map[string]string{"h": h}})
		v.HandshakeHash = h
		if w1 != nil {
			seal, open = [2]*noise.CipherState{w1, r2}, [2]*noise.CipherState{r1, w2}
		}
	}
	same(states[responder].PeerStatic(), statics[initiator].Public)
	pass := func(from int, plaintext []byte) []byte {
		ciphertext, err := seal[from].Encrypt(nil, nil, plaintext)
		check(err)
		got, err := open[from].Decrypt(nil, nil, ciphertext)
		check(err)
		same(got, plaintext)
		return ciphertext
	}
	for i, length := range s.transport {
		for from, name := range names {
			plaintext := fixed(fmt.Sprintf("%s record %d of the %s", s.id, i, name), length)
			v.Transport = append(v.Transport, record{name, hex.EncodeToString(plaintext), hex.EncodeToString(pass(from, plaintext))})
		}
	}
	for i, shape := range s.series {
		from, hash := i%2, sha256.New()
		for j := 0; j < shape[0]; j++ {
			hash.Write(pass(from, bytes.Repeat([]byte{0xa5}, shape[1])))
		}
		v.Series = append(v.Series, series{names[from], shape[0], "a5", shape[1], hex.EncodeToString(hash.Sum(nil))})
	}
	return v
}

// fixed gives bytes that depend on the label alone: SHA-256 of the label and a counter of one byte, block by block.
func fixed(label string, length int) []byte {
	out := []byte{}
	for i := byte(0); len(out) < length; i++ {
		block := sha256.Sum256(append([]byte(label), i))
		out = append(out, block[:]...)
	}
	return out[:length]
}

func pair(suite noise.CipherSuite, private []byte) noise.DHKey {
	key, err := suite.GenerateKeypair(bytes.NewReader(private))
	check(err)
	return key
}

func show(key noise.DHKey) keyPair {
	return keyPair{hex.EncodeToString(key.Private), hex.EncodeToString(key.Public)}
}

func same(a, b []byte) {
	if !bytes.Equal(a, b) {
		panic("the two sides differ")
	}
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
