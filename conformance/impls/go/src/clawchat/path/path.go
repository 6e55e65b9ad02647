package path

import (
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"clawchat/code"
	"clawchat/handshake"
	"clawchat/msg"
	"clawchat/transport"
)

// Path is one connection with one completed handshake. One goroutine reads, another
// one writes.
type Path struct {
	Witness handshake.Reply // what the host said that its stores hold
	Port    uint32          // of the endpoint
	Epoch   uint64          // that the token named
	ws      *websocket.Conn
	send    transport.Direction
	receive transport.Direction
	cut     sync.Once
}

// Read waits for the next record and returns its frames (RC-001).
func (p *Path) Read() ([][]byte, error) {
	kind, record, err := p.ws.ReadMessage()
	if err != nil {
		return nil, code.New(code.Unspecified, "the connection ended: %v", err)
	}
	if kind != websocket.BinaryMessage { // HS-006
		return nil, code.New(code.TransportFailed, "a text message")
	}
	return p.receive.Open(record)
}

// Write seals frames, which fit, into one record and sends it.
func (p *Path) Write(frames [][]byte) error {
	record, err := p.send.Seal(frames)
	if err != nil {
		return err
	}
	return p.ws.WriteMessage(websocket.BinaryMessage, record)
}

// WornSend and WornReceive say that the records of a direction have reached their soft
// bound (RC-004). Each is asked by the goroutine that uses the direction.
func (p *Path) WornSend() bool { return p.send.Place >= transport.RecordsSoftMax }

// WornReceive is the same for the other direction.
func (p *Path) WornReceive() bool { return p.receive.Place >= transport.RecordsSoftMax }

// End sends Close as the last frame and the WebSocket close 1000, waits for the other
// side to answer, and then cuts the connection (SE-080, ER-004). The writer calls it.
func (p *Path) End(c code.Code, resumable bool) {
	close := msg.Frame{Body: msg.BodyClose, Close: msg.Close{Code: uint32(c), Resumable: resumable}}
	p.ws.SetWriteDeadline(time.Now().Add(2 * time.Second))
	if p.Write([][]byte{close.Bytes()}) == nil {
		p.farewell()
	}
	time.AfterFunc(2*time.Second, p.Cut)
}

// farewell sends the WebSocket close, as the answer to a Close frame too.
func (p *Path) farewell() {
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	p.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(2*time.Second))
}

// Leave ends a path whose other side has sent Close.
func (p *Path) Leave() {
	p.farewell()
	p.Cut()
}

// Cut ends the connection without a word.
func (p *Path) Cut() { p.cut.Do(func() { p.ws.UnderlyingConn().Close() }) }
