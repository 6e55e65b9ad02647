// Package path opens a path to a host: TCP, TLS 1.3, the gate, WebSocket and the Noise
// handshake (chapter 4), and carries transport records on it (chapter 5.1).
package path

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"clawchat/code"
	"clawchat/connfile"
	"clawchat/handshake"
	"clawchat/kdf"
	"clawchat/msg"
	"clawchat/transport"
)

const (
	protocol    = "clawchat.v1"
	dialTimeout = 10 * time.Second // 2 x AUTH_MS_MAX
)

// Credentials are those of an invite or of a device.
type Credentials struct {
	StaticSecret []byte
	Keys         kdf.Keys
}

// Dial opens a path with a record, whatever its times say (CF-040).
func Dial(ctx context.Context, record msg.Record, who Credentials, nowMs uint64) (*Path, error) {
	channelKey, ok := connfile.ChannelKey(record, nowMs)
	if !ok {
		return nil, connfile.Clock(record, nowMs) // CF-041
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := first(ctx, record)
	if err != nil {
		return nil, err
	}
	p, err := enter(ctx, conn, record, channelKey, who)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// enter sends the upgrade request with the token and runs the handshake.
func enter(ctx context.Context, conn secured, record msg.Record, channelKey []byte, who Credentials) (*Path, error) {
	access := record.AccessKeys[0] // GT-001
	attempt, err := handshake.Client{
		ServerID: record.ServerID, Epoch: access.Epoch, AccessKey: access.Key, ChannelKey: channelKey,
		StaticSecret: who.StaticSecret, PSK: who.Keys.PSK, GateKey: who.Keys.Gate,
	}.Begin()
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	ws, err := upgrade(ctx, conn, attempt.Token)
	if err != nil {
		return nil, err
	}
	kind, message2, err := ws.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage { // HS-006
		return nil, silent(err)
	}
	message3, payload, keys, err := attempt.Finish(message2) // HS-018: on failure just cut
	if err != nil {
		return nil, err
	}
	reply, _ := handshake.ReadReply(payload)
	if err := ws.WriteMessage(websocket.BinaryMessage, message3); err != nil {
		return nil, silent(err)
	}
	conn.SetDeadline(time.Time{})
	return &Path{
		Witness: reply, Port: conn.endpoint.Port, Epoch: access.Epoch, ws: ws,
		send:    transport.Direction{Cipher: keys.Send.Cipher()},
		receive: transport.Direction{Cipher: keys.Receive.Cipher()},
	}, nil
}

// upgrade offers exactly clawchat.v1 and the token, and no extension (HS-003, LI-006).
func upgrade(ctx context.Context, conn secured, token string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Subprotocols:      []string{protocol, token},
		ReadBufferSize:    4096,
		// The library fragments what does not fit its buffer; a message in one frame is
		// better (HS-025).
		WriteBufferSize: transport.RecordBytesMax + 64,
	}
	url := "wss://" + strings.ReplaceAll(address(conn.endpoint), "%", "%25") + "/"
	ws, response, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if response != nil {
			return nil, code.New(code.GateRefused, "the answer was %d", response.StatusCode)
		}
		if t, ok := err.(net.Error); ok && t.Timeout() {
			return nil, silent(err)
		}
		if brokeOff(err) { // 4.5: who dies before it answers has refused nobody
			return nil, code.New(code.HostUnreachable, "%v", err)
		}
		return nil, code.New(code.GateRefused, "%v", err)
	}
	if ws.Subprotocol() != protocol || response.Header.Get("Sec-WebSocket-Extensions") != "" { // HS-004
		return nil, code.New(code.GateRefused, "the answer names another protocol or an extension")
	}
	ws.SetReadLimit(transport.RecordBytesMax)
	return ws, nil
}

func silent(err error) error {
	if t, ok := err.(net.Error); ok && t.Timeout() {
		return code.New(code.Timeout, "the peer is silent")
	}
	return code.New(code.HandshakeFailed, "the connection ended: %v", err)
}
