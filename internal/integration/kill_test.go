package integration_test

import (
	"sync"
	"testing"
)

func TestAKilledProcessDelaysTheOthersByItsLeaseAndLosesNoGrant(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	// All at once, however few tests may run in parallel: mostly they wait for leases of a minute.
	atOnce := func(name string, test func(*testing.T)) {
		wg.Go(func() { t.Run(name, test) })
	}
	atOnce("killed again and again", testKillsWithoutEnd)
	for _, b := range backends {
		atOnce("holding a lease on "+b.name, func(t *testing.T) { testKilledHolder(t, b, false) })
		atOnce("holding a lease on "+b.name+" from a provider that rotates refresh tokens", func(t *testing.T) {
			testKilledHolder(t, b, true)
		})
	}
}
