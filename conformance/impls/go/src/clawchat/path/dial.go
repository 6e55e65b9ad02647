// Package path opens a path to a host: TCP, TLS 1.3, the gate, WebSocket and the Noise
// handshake (chapter 4), and carries transport records on it (chapter 5.1).
package path

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strconv"
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
	dialTimeout = 10 * time.Second
)

// Credentials are those of an invite or of a device.
type Credentials struct {
	StaticSecret []byte
	Keys         kdf.Keys
}

// Dial tries the endpoints of a record one after the other (CF-040: whatever their
// times say). With several failures it names the one that got furthest.
func Dial(ctx context.Context, record msg.Record, who Credentials, nowMs uint64) (*Path, error) {
	channelKey, ok := connfile.ChannelKey(record, nowMs)
	if !ok {
		return nil, connfile.Clock(record, nowMs) // CF-041
	}
	var failure error
	for _, e := range record.Endpoints {
		p, err := dialOne(ctx, e, record, channelKey, who)
		if err == nil {
			return p, nil
		}
		if failure == nil || code.Of(failure) == code.HostUnreachable {
			failure = err
		}
	}
	return nil, failure
}

func dialOne(ctx context.Context, e msg.Endpoint, record msg.Record, channelKey []byte, who Credentials) (*Path, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	secured, err := secure(ctx, e, record.TLSPins)
	if err != nil {
		return nil, err
	}
	p, err := enter(ctx, secured, e, record, channelKey, who)
	if err != nil {
		secured.Close()
		return nil, err
	}
	return p, nil
}

func address(e msg.Endpoint) string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// secure opens TLS 1.3 and checks the certificate before anything is sent (HS-001,
// HS-002).
func secure(ctx context.Context, e msg.Endpoint, pins [][]byte) (*tls.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(e))
	if err != nil {
		return nil, code.New(code.HostUnreachable, "%v", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		MaxVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
		ServerName: e.Host, // Go sends no server name for an IP address
	}
	if len(pins) > 0 {
		config.InsecureSkipVerify = true // with pins nothing else of the certificate counts
		config.VerifyConnection = func(state tls.ConnectionState) error { return pinned(state, pins) }
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, code.New(code.TlsFailed, "%v", err)
	}
	return secured, nil
}

func pinned(state tls.ConnectionState, pins [][]byte) error {
	if len(state.PeerCertificates) > 0 {
		sum := sha256.Sum256(spki(state.PeerCertificates[0]))
		for _, pin := range pins {
			if bytes.Equal(sum[:], pin) {
				return nil
			}
		}
	}
	return code.New(code.TlsFailed, "the certificate is not a pinned one")
}

func spki(c *x509.Certificate) []byte { return c.RawSubjectPublicKeyInfo }

// enter sends the upgrade request with the token and runs the handshake.
func enter(ctx context.Context, secured net.Conn, e msg.Endpoint, record msg.Record, channelKey []byte, who Credentials) (*Path, error) {
	access := record.AccessKeys[0] // GT-001
	attempt, err := handshake.Client{
		ServerID: record.ServerID, Epoch: access.Epoch, AccessKey: access.Key, ChannelKey: channelKey,
		StaticSecret: who.StaticSecret, PSK: who.Keys.PSK, GateKey: who.Keys.Gate,
	}.Begin()
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	secured.SetDeadline(deadline)
	ws, err := upgrade(ctx, secured, e, attempt.Token)
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
	secured.SetDeadline(time.Time{})
	return &Path{
		Witness: reply, Began: time.Now(), ws: ws,
		send:    transport.Direction{Cipher: keys.Send.Cipher()},
		receive: transport.Direction{Cipher: keys.Receive.Cipher()},
	}, nil
}

// upgrade offers exactly clawchat.v1 and the token, and no extension (HS-003, LI-006).
func upgrade(ctx context.Context, secured net.Conn, e msg.Endpoint, token string) (*websocket.Conn, error) {
	dialer := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return secured, nil },
		Subprotocols:      []string{protocol, token},
		ReadBufferSize:    4096,
		// The library fragments what does not fit its buffer; messages go unfragmented (4.2).
		WriteBufferSize: transport.RecordBytesMax + 64,
	}
	url := "wss://" + strings.ReplaceAll(address(e), "%", "%25") + "/"
	ws, response, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			return nil, code.New(code.GateRefused, "the answer was %d", response.StatusCode)
		}
		return nil, silent(err)
	}
	if ws.Subprotocol() != protocol || response.Header.Get("Sec-WebSocket-Extensions") != "" { // HS-004
		return nil, code.New(code.HandshakeFailed, "the answer names another protocol or an extension")
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
