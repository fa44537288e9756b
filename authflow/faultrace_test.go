package authflow_test

import (
	"sync"
	"testing"

	"github.com/mailgrant/mailgrant/authflow"
	"github.com/mailgrant/mailgrant/gmailsvc/gmailtest"
)

func TestURLsAreMadeWhileAFlowIsUsedForTheFirstTime(t *testing.T) {
	t.Parallel()
	x := newFixture(t, gmailtest.Config{})
	old := x.older(t)
	flow := x.flow(t)
	var all sync.WaitGroup
	start := make(chan struct{})
	for range 4 {
		all.Go(func() {
			<-start
			_ = flow.GetAuthorizationURL(ada, authflow.NewState())
		})
		all.Go(func() {
			<-start
			if _, err := flow.Import(t.Context(), authflow.ImportedToken{RefreshToken: old}); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
}
