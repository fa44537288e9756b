package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A topology is the servers that share the keys among them, each as it was at one time.
type topology struct {
	clustered bool
	nodes     []node
}

// A node is a server, and what shows, by a difference, that a scan of it may have missed keys.
type node struct {
	client redis.Cmdable
	run    string // of the server: the order in which SCAN walks does not outlast a restart
	slots  string // in a cluster, those that it serves
}

// A cluster is what *redis.ClusterClient, or a caller's type that embeds it, has beyond the client of one server.
type cluster interface {
	ForEachMaster(ctx context.Context, visit func(context.Context, *redis.Client) error) error
}

// topology asks for the present one.
func (s *Store) topology(ctx context.Context) (*topology, error) {
	c, clustered := s.client.(cluster)
	clients := []redis.Cmdable{s.client}
	if clustered {
		clients = nil
		var mu sync.Mutex // ForEachMaster visits all at once
		err := c.ForEachMaster(ctx, func(_ context.Context, client *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			clients = append(clients, client)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	t := &topology{clustered: clustered}
	for _, client := range clients {
		n, err := t.look(ctx, client)
		if err != nil {
			return nil, err
		}
		t.nodes = append(t.nodes, n)
	}
	return t, nil
}

// unchanged returns an error if a scan since t may have missed keys.
func (t *topology) unchanged(ctx context.Context) error {
	for _, before := range t.nodes {
		after, err := t.look(ctx, before.client)
		if err != nil {
			return err
		}
		if after.run != before.run || after.slots != before.slots {
			return errors.New("a server has restarted or handed over keys meanwhile, and some may be missing; list again")
		}
	}
	return nil
}

// look asks the server of client for its run and slots.
func (t *topology) look(ctx context.Context, client redis.Cmdable) (node, error) {
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return node{}, err
	}
	n := node{client: client, run: infoField(info, "run_id")}
	if !t.clustered {
		if infoField(info, "redis_mode") == "cluster" {
			err = fmt.Errorf("the server is one of a cluster, of which a %T sees a part; pass a *redis.ClusterClient", client)
		}
		return n, err
	}
	answer, err := client.ClusterNodes(ctx).Result()
	if err != nil {
		return node{}, err
	}
	n.slots, err = ownSlots(answer)
	return n, err
}

// infoField returns the value of a field in the answer to INFO: "" where it is not there.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// ownSlots returns the role and slots of the node that gave this answer to CLUSTER NODES, or an error where slots are
// on the move. A line is: id, address, flags, master, ping sent, pong received, epoch, link state, slots.
// See https://redis.io/docs/latest/commands/cluster-nodes/.
func ownSlots(answer string) (string, error) {
	const flags, firstSlot = 2, 8
	for line := range strings.Lines(answer) {
		fields := strings.Fields(line)
		if len(fields) < firstSlot || !strings.Contains(fields[flags], "myself") {
			continue
		}
		slots := strings.Join(fields[firstSlot:], " ")
		if strings.Contains(slots, "[") { // [slot->-node] or [slot-<-node]
			return "", errors.New("the cluster is moving keys between servers, and some may be missed; list again when it has finished")
		}
		return fields[flags] + " " + slots, nil
	}
	return "", errors.New("the answer to CLUSTER NODES does not tell which of them gave it")
}
