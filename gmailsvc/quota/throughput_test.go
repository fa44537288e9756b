package quota_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailgrant/mailgrant/gmailsvc/quota"
)

// However Google counts its minute, no call is rejected, and 97 % of the quota is used: 10,000 messages at 20
// units take 33.3 minutes at 6,000 units a minute, so 34.4 at 97 %.
func TestTenThousandMessagesAreReadAtTheSpeedOfTheQuota(t *testing.T) {
	t.Parallel()
	const messages, price = 10_000, 20
	for _, m := range []minute{sliding{}, fixed{0}, fixed{17}, fixed{59}, bucket{}} {
		for _, latency := range []time.Duration{0, 100 * time.Millisecond, time.Second} {
			for _, class := range []quota.Class{quota.Background, quota.Interactive} {
				for _, batches := range []bool{false, true} {
					name := fmt.Sprintf("%T%v latency=%v %v batches=%v", m, m, latency, class, batches)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						synctest.Test(t, func(t *testing.T) {
							g := newGoogle(m, latency)
							l := newLimiter(t, quota.Config{})
							left := atomic.Int64{}
							left.Store(messages)
							var wg sync.WaitGroup
							for range 5 {
								wg.Go(func() {
									for {
										n := 1
										if batches {
											n = l.BatchSize(quota.Request{User: "ada", Units: price, Class: class})
										}
										rest := left.Add(-int64(n))
										if rest <= -int64(n) {
											return
										}
										n += int(min(rest, 0))
										p, err := l.Acquire(t.Context(), quota.Request{User: "ada", Units: n * price, Calls: n, Class: class})
										if err != nil {
											t.Error(err)
											return
										}
										p.Done(g.call("ada", n*price, n))
									}
								})
							}
							wg.Wait()
							took := time.Since(epoch)
							if g.rejected > 0 || g.units != messages*price {
								t.Errorf("%d calls were rejected, %d units let through", g.rejected, g.units)
							}
							if took.Minutes() > 34.4 {
								t.Errorf("took %.2f minutes, more than 34.4", took.Minutes())
							}
							t.Logf("took %.2f minutes", took.Minutes())
						})
					})
				}
			}
		}
	}
}
