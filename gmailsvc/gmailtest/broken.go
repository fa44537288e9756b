package gmailtest

import (
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"strconv"
	"syscall"
)

// breakConnection ends the request without an answer. It does not return, but where it has to reset a
// connection itself.
func (f *injected) breakConnection(w http.ResponseWriter) {
	if !f.Reset {
		panic(http.ErrAbortHandler)
	}
	if b, inProcess := w.(*responseBuffer); inProcess {
		b.broken = syscall.ECONNRESET
		panic(http.ErrAbortHandler)
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2: net/http resets the stream
		panic(http.ErrAbortHandler)
	}
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn() // or it would say goodbye
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // what is closed then is reset
	}
	_ = conn.Close()
}

// cutInto sends the beginning of an answer and breaks the connection.
func (b *responseBuffer) cutInto(w http.ResponseWriter, after int) {
	b.WriteHeader(http.StatusOK)
	maps.Copy(w.Header(), b.sent)
	w.Header().Set("Content-Length", strconv.Itoa(b.body.Len()))
	w.WriteHeader(b.code)
	after = min(after, b.body.Len()-1)
	if in, inProcess := w.(*responseBuffer); inProcess && after > 0 {
		_, _ = in.body.Write(b.body.Bytes()) // into memory
		in.cut = after
		return
	}
	if after > 0 {
		_, _ = w.Write(b.body.Bytes()[:after]) // the client may have gone
		_ = http.NewResponseController(w).Flush()
	}
	panic(http.ErrAbortHandler)
}
