package path

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"clawchat/code"
	"clawchat/msg"
)

// endpointPatience is how long an endpoint has before the next one is tried beside it.
const endpointPatience = 250 * time.Millisecond

// secured is a connection that has passed TLS, and the endpoint that it leads to.
type secured struct {
	*tls.Conn
	endpoint msg.Endpoint
}

var errCertificate = errors.New("the certificate is not a pinned one")

// first opens TLS to the endpoints in their order, and returns the first that passes; the
// others are closed with nothing sent (HS-024, CF-040).
func first(ctx context.Context, record msg.Record) (secured, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		secured
		err error
	}
	results := make(chan result, len(record.Endpoints))
	failure := code.New(code.HostUnreachable, "nothing answers")
	begun, ended := 0, 0
	next := func() {
		e := record.Endpoints[begun]
		begun++
		go func() {
			conn, err := secure(ctx, e, record.TLSPins)
			results <- result{secured{conn, e}, err}
		}()
	}
	next()
	for {
		var patience <-chan time.Time
		if begun < len(record.Endpoints) {
			patience = time.After(endpointPatience)
		}
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				go func(left int) { // those that are still under way
					for ; left > 0; left-- {
						if late := <-results; late.err == nil {
							late.Close()
						}
					}
				}(begun - ended)
				return r.secured, nil
			}
			if code.Of(failure) == code.HostUnreachable {
				failure = r.err
			}
			if begun < len(record.Endpoints) {
				next()
			} else if ended == begun {
				return secured{}, failure
			}
		case <-patience:
			next()
		}
	}
}

func address(e msg.Endpoint) string {
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

// secure opens TLS 1.3 and checks the certificate before anything is sent (HS-001,
// HS-002, HS-023).
func secure(ctx context.Context, e msg.Endpoint, pins [][]byte) (*tls.Conn, error) {
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address(e))
	if err != nil {
		return nil, code.New(code.HostUnreachable, "%v", err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13,
		MaxVersion: tls.VersionTLS13,
		NextProtos: []string{"http/1.1"},
	}
	if len(pins) > 0 { // no server name, and nothing else of the certificate counts
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error { return pinned(state, pins) }
	} else {
		config.ServerName = e.Host // of an IP address Go checks it and does not send it
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		if brokeOff(err) { // 4.5: nobody has answered
			return nil, code.New(code.HostUnreachable, "%v", err)
		}
		return nil, code.New(code.TlsFailed, "%v", err)
	}
	return conn, nil
}

// brokeOff says whether the network ended a connection, and not what came on it.
func brokeOff(err error) bool {
	var system *os.SyscallError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &system)
}

func pinned(state tls.ConnectionState, pins [][]byte) error {
	if len(state.PeerCertificates) > 0 {
		sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
		for _, pin := range pins {
			if bytes.Equal(sum[:], pin) {
				return nil
			}
		}
	}
	return errCertificate
}
