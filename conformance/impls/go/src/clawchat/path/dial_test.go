package path

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"clawchat/code"
	"clawchat/kdf"
	"clawchat/msg"
)

// stranger is a plain web server with a certificate that no authority vouches for.
func stranger(t *testing.T, version uint16) (msg.Record, *int) {
	requests := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		http.NotFound(w, nil)
	}))
	server.TLS = &tls.Config{MaxVersion: version}
	server.StartTLS()
	t.Cleanup(server.Close)
	host, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	number, _ := strconv.Atoi(port)
	pin := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	key := kdf.X25519Public(make([]byte, 32))
	return msg.Record{
		ServerID:    make([]byte, 32),
		Endpoints:   []msg.Endpoint{{Host: host, Port: uint32(number)}},
		ChannelKeys: []msg.ChannelKey{{PublicKey: key, NotAfterMs: 1 << 50}},
		AccessKeys:  []msg.AccessKey{{Epoch: 1, Key: make([]byte, 32)}},
		TLSPins:     [][]byte{pin[:]},
	}, &requests
}

func dialled(record msg.Record) code.Code {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	who := Credentials{StaticSecret: make([]byte, 32), Keys: kdf.DeviceKeys(make([]byte, 32))}
	_, err := Dial(ctx, record, who, 0)
	return code.Of(err)
}

func TestPinnedStrangerRefuses(t *testing.T) {
	record, requests := stranger(t, tls.VersionTLS13)
	if got := dialled(record); got != code.GateRefused || *requests != 1 {
		t.Fatalf("%v after %d requests", got, *requests)
	}
}

// HS-002: nothing is sent to a host with another key, or without pins to one that no
// authority vouches for.
func TestOtherKey(t *testing.T) {
	record, requests := stranger(t, tls.VersionTLS13)
	record.TLSPins = [][]byte{make([]byte, 32)}
	if got := dialled(record); got != code.TlsFailed || *requests != 0 {
		t.Fatalf("%v after %d requests", got, *requests)
	}
	record.TLSPins = nil
	if got := dialled(record); got != code.TlsFailed || *requests != 0 {
		t.Fatalf("%v after %d requests", got, *requests)
	}
}

// HS-001: TLS 1.3 and no other version.
func TestOlderTLS(t *testing.T) {
	record, requests := stranger(t, tls.VersionTLS12)
	if got := dialled(record); got != code.TlsFailed || *requests != 0 {
		t.Fatalf("%v after %d requests", got, *requests)
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	record, _ := stranger(t, tls.VersionTLS13)
	record.Endpoints[0].Port = uint32(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	if got := dialled(record); got != code.HostUnreachable {
		t.Fatal(got)
	}
}

// plain listens on the address of the record and does with each connection what it is told.
func plain(t *testing.T, record *msg.Record, serve func(net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	record.Endpoints[0].Port = uint32(l.Addr().(*net.TCPAddr).Port)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			serve(conn)
			conn.Close()
		}
	}()
}

// 4.5: whoever ends the connection has not answered; whoever says something else is somebody else.
func TestBeforeTLS(t *testing.T) {
	record, _ := stranger(t, tls.VersionTLS13)
	plain(t, &record, func(net.Conn) {})
	if got := dialled(record); got != code.HostUnreachable {
		t.Fatal(got)
	}
	plain(t, &record, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) })
	if got := dialled(record); got != code.HostUnreachable {
		t.Fatal(got)
	}
	plain(t, &record, func(c net.Conn) { c.Write([]byte("220 mail\r\n")) })
	if got := dialled(record); got != code.TlsFailed {
		t.Fatal(got)
	}
}

func TestBehindTheToken(t *testing.T) {
	server := httptest.NewTLSServer(nil) // for its certificate
	defer server.Close()
	record, _ := stranger(t, tls.VersionTLS13)
	pin := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	record.TLSPins = [][]byte{pin[:]}
	for answer, want := range map[string]code.Code{
		"": code.HostUnreachable, "hello\r\n\r\n": code.GateRefused, "HTTP/1.1 200 OK\r\n\r\n": code.GateRefused,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n": code.GateRefused,
	} {
		l, err := tls.Listen("tcp", "127.0.0.1:0", server.TLS)
		if err != nil {
			t.Fatal(err)
		}
		record.Endpoints[0].Port = uint32(l.Addr().(*net.TCPAddr).Port)
		go func(answer string) {
			conn, err := l.Accept()
			if err == nil {
				conn.Read(make([]byte, 4096))
				conn.Write([]byte(answer))
				conn.Close()
			}
		}(answer)
		if got := dialled(record); got != want {
			t.Errorf("%q: %v instead of %v", answer, got, want)
		}
		l.Close()
	}
}
