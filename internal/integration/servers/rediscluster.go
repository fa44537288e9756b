package servers

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// RedisCluster starts three masters on ports of loopback, which share the slots of a cluster among them,
// and returns how to reach it. They end with the test.
func RedisCluster(tb testing.TB) *redis.ClusterOptions {
	tb.Helper()
	const masters, slots = 3, 16384
	var addresses []string
	var clients []*redis.Client
	var first redisNode
	for i := range masters {
		node := startRedisNode(tb)
		client := redis.NewClient(&redis.Options{Addr: node.address()})
		tb.Cleanup(func() { _ = client.Close() })
		addresses, clients = append(addresses, node.address()), append(clients, client)

		commands := []redis.Cmder{
			client.ClusterAddSlotsRange(tb.Context(), i*slots/masters, (i+1)*slots/masters-1),
			client.Do(tb.Context(), "cluster", "set-config-epoch", i+1),
		}
		if i == 0 {
			first = node
		} else {
			commands = append(commands, client.Do(tb.Context(), "cluster", "meet", "127.0.0.1", first.port, first.busPort))
		}
		for _, cmd := range commands {
			if err := cmd.Err(); err != nil {
				tb.Fatalf("form the Redis cluster: %v", err)
			}
		}
	}
	for _, client := range clients {
		poll(tb, "the Redis cluster", func(ctx context.Context) bool {
			info, err := client.ClusterInfo(ctx).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, fmt.Sprint("cluster_known_nodes:", masters))
		})
	}
	return &redis.ClusterOptions{Addrs: addresses, ContextTimeoutEnabled: true}
}

type redisNode struct{ port, busPort int }

func (n redisNode) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// startRedisNode starts a server that is to join a cluster.
func startRedisNode(tb testing.TB) redisNode {
	tb.Helper()
	var err error
	for range 5 { // another process may take the ports meanwhile
		node := redisNode{freePort(tb), freePort(tb)}
		dir := redisDir(tb)
		s := &RedisServer{Dir: dir, settings: []string{
			"--bind", "127.0.0.1", "--port", strconv.Itoa(node.port), "--cluster-port", strconv.Itoa(node.busPort),
			"--cluster-enabled", "yes", "--save", "", "--dir", dir,
		}}
		if err = s.start(tb); err == nil {
			return node
		}
	}
	tb.Fatal(err)
	return redisNode{}
}

func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
