package integration_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A fault is what a redisProxy does to a command.
type fault int

const (
	passOn      fault = iota
	loseRequest       // the connection breaks before the server gets the command
	loseReply         // the server carries it out, the connection breaks before the client gets the answer
	stall             // nothing happens any more
)

// A redisProxy stands between a client and a server of Redis.
type redisProxy struct {
	listener net.Listener
	server   *redis.Options
	seen     atomic.Int64  // commands of the name
	harmed   chan struct{} // receives when harm is done

	mu      sync.Mutex
	command []byte
	next    fault
	then    func() // called once the server has answered a command whose reply is lost
}

// newRedisProxy returns a proxy in front of server that harms a command of the given name, which go-redis
// writes in lower case.
func newRedisProxy(t *testing.T, server *redis.Options, command string) *redisProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &redisProxy{listener: listener, server: server, harmed: make(chan struct{}, 1), command: []byte("\r\n" + command + "\r\n")}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { client.Close() })
			wg.Go(func() { p.serve(t, client) })
		}
	})
	t.Cleanup(wg.Wait) // after the clients of the test and the listener are closed
	t.Cleanup(func() { listener.Close() })
	return p
}

// options returns how to reach the server through the proxy.
func (p *redisProxy) options() *redis.Options {
	return &redis.Options{Addr: p.listener.Addr().String(), ContextTimeoutEnabled: true}
}

// harm makes f happen, once, to the next command of the name. Where f is loseReply, then runs, unless it is
// nil, before the client notices.
func (p *redisProxy) harm(f fault, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.then = f, then
}

func (p *redisProxy) take() (fault, func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, then := p.next, p.then
	p.next, p.then = passOn, nil
	if f != passOn {
		p.harmed <- struct{}{}
	}
	return f, then
}

func (p *redisProxy) serve(t *testing.T, client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.server.Network, p.server.Addr)
	if err != nil {
		return
	}
	defer server.Close()

	lost := make(chan func(), 1) // full when the next reply is to be lost
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		defer client.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := server.Read(buffer)
			if err != nil {
				return
			}
			select {
			case then := <-lost:
				if then != nil {
					then()
				}
				return
			default:
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	defer server.Close()

	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if bytes.Contains(buffer[:n], p.command) {
			p.seen.Add(1)
			switch f, then := p.take(); f {
			case loseRequest:
				return
			case stall:
				continue
			case loseReply:
				lost <- then
			}
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}
