// Plays a host to a ClawChat client, with flynn/noise as the responder and gorilla/websocket: neither shares anything
// with src/. It admits one device, takes its records, answers Attach and Ping, and says what it saw.
//
// Debian: golang-go, golang-github-flynn-noise-dev, golang-github-gorilla-websocket-dev. From the repository's root:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o FILE conformance/oracle/accept/*.go
//	FILE CONFIG
//
// CONFIG is the JSON of `config` below. Each line of standard output is a JSON object with an `event`. The line `text`
// on standard input sends a text message, which no host may, on the newest path.
package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/flynn/noise"
	"github.com/gorilla/websocket"
	"golang.org/x/crypto/hkdf"
)

// Bytes are hexadecimal, TLS key and certificate PEM.
type config struct {
	Port       int    `json:"port"`
	ServerID   string `json:"server_id"`
	Epoch      uint64 `json:"epoch"`
	AccessKey  string `json:"access_key"`
	ChannelKey string `json:"channel_key"`
	TLSKey     string `json:"tls_key"`
	TLSCert    string `json:"tls_cert"`
	Device     struct {
		PublicKey string `json:"public_key"`
		GateKey   string `json:"gate_key"`
		PSK       string `json:"psk"`
	} `json:"device"`
}

type fields map[string]interface{}

const (
	subprotocol    = "clawchat.v1"
	message1Bytes  = 48
	message3Bytes  = 64
	replyBytes     = 64
	protocolNumber = 1
	suiteNumber    = 1
)

var printing sync.Mutex

func say(event string, more fields) {
	line := fields{"event": event}
	for name, value := range more {
		line[name] = value
	}
	printing.Lock()
	defer printing.Unlock()
	check(json.NewEncoder(os.Stdout).Encode(line))
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: accept CONFIG")
	}
	text, err := os.ReadFile(os.Args[1])
	check(err)
	var c config
	check(json.Unmarshal(text, &c))
	pair, err := tls.X509KeyPair([]byte(c.TLSCert), []byte(c.TLSKey))
	check(err)
	inner, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.Port))
	check(err)
	listener := tls.NewListener(inner, &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"http/1.1"},
	})
	h := &host{config: c, sessions: map[string]*session{}}
	go h.obey()
	say("listening", fields{"port": inner.Addr().(*net.TCPAddr).Port})
	check(http.Serve(listener, h))
}

// What a session is to a host that keeps nothing but numbers.
type session struct {
	generation uint64
	taken      uint64
}

type host struct {
	config   config
	mutex    sync.Mutex
	sessions map[string]*session
	newest   *path
}

func (h *host) obey() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		h.mutex.Lock()
		newest := h.newest
		h.mutex.Unlock()
		if newest == nil {
			continue
		}
		newest.mutex.Lock()
		if lines.Text() == "text" {
			check(newest.socket.WriteMessage(websocket.TextMessage, []byte("hello")))
		}
		newest.mutex.Unlock()
	}
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	message1, err := h.judge(r)
	if err != nil {
		say("refused", fields{"why": err.Error()})
		w.Header().Set("Connection", "close")
		http.NotFound(w, r)
		return
	}
	upgrader := websocket.Upgrader{ReadBufferSize: 1 << 17, WriteBufferSize: 1 << 17}
	socket, err := upgrader.Upgrade(w, r, http.Header{"Sec-WebSocket-Protocol": {subprotocol}})
	if err != nil {
		say("refused", fields{"why": err.Error()})
		return
	}
	defer socket.Close()
	p := &path{host: h, socket: socket}
	if err := p.handshake(message1); err != nil {
		say("failed", fields{"why": err.Error()})
		return
	}
	h.mutex.Lock()
	h.newest = p
	h.mutex.Unlock()
	for {
		if err := p.record(); err != nil {
			say("ended", fields{"why": err.Error(), "generation": p.generation})
			return
		}
	}
}

// The gate (4.3): the handle is the device's in this epoch, the MAC covers all before it.
func (h *host) judge(r *http.Request) ([]byte, error) {
	offered := strings.Split(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	if r.Method != "GET" || r.URL.Path != "/" || len(offered) != 2 || strings.TrimSpace(offered[0]) != subprotocol {
		return nil, fmt.Errorf("not a request of the protocol")
	}
	if r.Header.Get("Sec-WebSocket-Extensions") != "" {
		return nil, fmt.Errorf("an extension is offered")
	}
	token, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimSpace(offered[1]))
	if err != nil || len(token) != 8+16+message1Bytes+16 {
		return nil, fmt.Errorf("no token")
	}
	epoch := u64(h.config.Epoch)
	if !hmac.Equal(token[:8], epoch) {
		return nil, fmt.Errorf("another epoch")
	}
	gateKey := unhex(h.config.Device.GateKey)
	if !hmac.Equal(token[8:24], mac(gateKey, label("gate handle"), epoch)) {
		return nil, fmt.Errorf("another handle")
	}
	info := append(append(label("gate mac"), 0, 8), epoch...)
	macKey := make([]byte, 32)
	_, err = io.ReadFull(hkdf.New(sha256.New, gateKey, unhex(h.config.AccessKey), info), macKey)
	check(err)
	if !hmac.Equal(token[72:], mac(macKey, token[:72])) {
		return nil, fmt.Errorf("another MAC")
	}
	return token[24:72], nil
}

// One connection that the gate let in.
type path struct {
	host          *host
	socket        *websocket.Conn
	mutex         sync.Mutex // Of who writes to the socket.
	send, receive *noise.CipherState
	session       *session
	generation    uint64
	greeted       bool
}

func (p *path) handshake(message1 []byte) error {
	c := p.host.config
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	private := unhex(c.ChannelKey)
	static, err := suite.GenerateKeypair(strings.NewReader(string(private)))
	check(err)
	prologue := append(label("prologue"), 0, protocolNumber, 0, suiteNumber)
	prologue = append(append(prologue, unhex(c.ServerID)...), u64(c.Epoch)...)
	state, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: suite, Pattern: noise.HandshakeXK, Initiator: false, Prologue: prologue,
		PresharedKey: unhex(c.Device.PSK), PresharedKeyPlacement: 3, StaticKeypair: static,
	})
	check(err)
	payload, _, _, err := state.ReadMessage(nil, message1)
	if err != nil || len(payload) != 0 {
		return fmt.Errorf("message 1: %v", err)
	}
	// No record was read back: only the padding, which brings the payload to its length.
	reply := append([]byte{3<<3 | 2, replyBytes - 2}, make([]byte, replyBytes-2)...)
	message2, _, _, err := state.WriteMessage(nil, reply)
	check(err)
	if err := p.socket.WriteMessage(websocket.BinaryMessage, message2); err != nil {
		return err
	}
	kind, message3, err := p.socket.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || len(message3) != message3Bytes {
		return fmt.Errorf("message 3 of %d bytes: %v", len(message3), err)
	}
	payload, first, second, err := state.ReadMessage(nil, message3)
	if err != nil || len(payload) != 0 {
		return fmt.Errorf("message 3: %v", err)
	}
	if !hmac.Equal(state.PeerStatic(), unhex(c.Device.PublicKey)) {
		return fmt.Errorf("the static key is not the device's")
	}
	p.receive, p.send = first, second
	return nil
}

// Take one record, and answer it with one.
func (p *path) record() error {
	kind, message, err := p.socket.ReadMessage()
	if err != nil {
		return err
	}
	if kind != websocket.BinaryMessage {
		return fmt.Errorf("a text message")
	}
	plaintext, err := p.receive.Decrypt(nil, nil, message)
	if err != nil {
		return err
	}
	rows, err := readRow(plaintext)
	if err != nil {
		return err
	}
	var answers [][]byte
	for _, one := range rows {
		answers = append(answers, p.frame(one)...)
	}
	if len(answers) == 0 {
		return nil
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	sealed, err := p.send.Encrypt(nil, nil, writeRow(answers))
	check(err)
	return p.socket.WriteMessage(websocket.BinaryMessage, sealed)
}

// Handle one frame; gives the frames to answer with.
func (p *path) frame(encoded []byte) [][]byte {
	number, body := parse(encoded).last()
	switch number {
	case frameHello:
		p.greeted = true
		say("hello", fields{"protocol_version": body.number(1), "software": string(body.bytes(3))})
		return [][]byte{frame(frameHello, varintField(1, protocolNumber), bytesField(3, []byte("flynn/noise accept")))}
	case frameAttach:
		return p.attach(body)
	case frameData:
		sequence := body.number(1)
		say("data", fields{
			"sequence": sequence, "stream": body.number(2), "bytes": len(body.bytes(3)),
			"service": string(parse(body.bytes(5)).bytes(1)), "generation": p.generation,
		})
		if p.session != nil && sequence == p.session.taken+1 {
			p.session.taken = sequence
			return [][]byte{frame(frameAck, varintField(1, sequence))}
		}
	case framePing:
		say("ping", fields{"id": body.number(1)})
		return [][]byte{frame(framePong, varintField(1, body.number(1)))}
	case frameClose:
		say("close", fields{"code": body.number(1), "resumable": body.number(2) == 1})
	}
	return nil
}

func (p *path) attach(body message) [][]byte {
	id := hex.EncodeToString(body.bytes(1))
	generation, open := body.number(2), body.number(4) == 1
	say("attach", fields{
		"session_id": id, "generation": generation, "received_through": body.number(3), "open": open,
		"greeted": p.greeted,
	})
	p.host.mutex.Lock()
	defer p.host.mutex.Unlock()
	known := p.host.sessions[id]
	if known == nil && open {
		known = &session{}
		p.host.sessions[id] = known
	}
	if known == nil || generation <= known.generation {
		return nil
	}
	known.generation = generation
	p.session, p.generation = known, generation
	return [][]byte{frame(frameAttached, varintField(1, generation), varintField(2, known.taken))}
}

func label(name string) []byte {
	text := "ClawChat/1 " + name
	return append([]byte{byte(len(text))}, text...)
}

// A tag of 16 bytes over the parts.
func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)[:16]
}

func u64(value uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, value)
}

func unhex(text string) []byte {
	bytes, err := hex.DecodeString(text)
	check(err)
	return bytes
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
