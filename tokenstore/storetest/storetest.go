// Package storetest checks that a tokenstore.TokenStore keeps its promises. A custom store's test is one call:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) tokenstore.TokenStore {
//			return mystore.New(emptyDatabase(t))
//		})
//	}
package storetest

import (
	"errors"
	"testing"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// A check is one promise of the contract, named as a sentence.
type check struct {
	name string
	run  func(probe)
}

// Run checks the stores that open returns against everything that tokenstore.TokenStore
// promises, one subtest for each promise. A store that lists its keys, itself or through Unwrap, is
// checked against tokenstore.Lister too; of one that doesn't, the test's log says so.
//
// Run calls open once for each subtest, one after another. Each time open returns a store
// with nothing in it; what the store needs to be closed, open registers with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) tokenstore.TokenStore) {
	checks := []check{
		{"a missing key is ErrNotFound", missingKey},
		{"what was created is read back", create},
		{"a create where a record is stored is a conflict", createConflict},
		{"a replace with the stored version takes effect", replace},
		{"a replace with a stale version is a conflict", staleReplace},
		{"a replace where nothing is stored is a conflict", replaceNothing},
		{"a delete with the stored version takes effect", remove},
		{"a delete with a stale version is a conflict", staleRemove},
		{"a delete where nothing is stored is a conflict", removeNothing},
		{"the zero record where nothing is expected or stored is no error", zeroOnNothing},
		{"the version of a deleted record never matches again", deletedVersion},
		{"a deleted record can be created anew", createAfterRemove},
		{"versions are compared byte by byte", similarVersions},
		{"different keys are independent", independentKeys},

		{"data of any bytes is kept", anyBytes},
		{"data may be empty", emptyData},
		{"data may be long", longData},
		{"a change to the data after Swap is not seen", changedAfterSwap},
		{"a change to the data after Get is not seen", changedAfterGet},

		{"keys that look like paths are kept apart", pathKeys},
		{"keys that differ only in case are kept apart", caseKeys},
		{"keys that differ only in spaces are kept apart", spaceKeys},
		{"keys that differ only in Unicode normalization are kept apart", normalizationKeys},
		{"keys of bytes that are no text are kept apart", byteKeys},
		{"keys with the wildcards of query languages are kept apart", wildcardKeys},
		{"long keys are kept apart", longKeys},
		{"an empty or oversized key is refused", badKeys},
		{"an oversized version is refused", oversizedVersion},
		{"data without a version is refused", dataWithoutVersion},

		{"a canceled Get returns context.Canceled", canceledGet},
		{"a canceled Swap returns context.Canceled and writes nothing", canceledSwap},
		{"a Swap past its deadline returns context.DeadlineExceeded and writes nothing", lateSwap},

		{"a Swap that is sent again conflicts with the first", repeatedSwap},
		{"a Swap canceled under way takes effect whole or not at all", interruptedSwap},

		{"of simultaneous creates exactly one wins", simultaneousCreates},
		{"of a simultaneous replace and delete exactly one wins", simultaneousReplaceAndRemove},
		{"simultaneous writers lose no update", simultaneousUpdates},
		{"a reader never sees half a write", readersAndWriter},
	}
	listChecks := []check{
		{"every one of ten thousand keys is listed", listEvery},
		{"keys of any bytes are listed as they are", listAnyBytes},
		{"exactly the keys with the prefix are listed", listPrefix},
		{"a deleted key is not listed", listAfterRemove},
		{"a listing can end early", listBreak},
		{"a store can be written to while it is listed", listWhileWriting},
		{"a canceled listing ends with context.Canceled", listCancelled},
	}
	lists := false
	t.Run("a listing of nothing is empty or errors.ErrUnsupported", func(t *testing.T) {
		lists = listNothing(probe{t, open(t)})
	})
	if lists {
		checks = append(checks, listChecks...)
	} else {
		t.Log("the store cannot list its keys; tokenstore.Lister is optional and was not checked")
	}
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(probe{t, open(t)}) })
	}
}

// listNothing reports whether the store, which is empty, can list its keys.
func listNothing(p probe) bool {
	supported := true
	for key, err := range tokenstore.List(p.Context(), p.store, "") {
		switch {
		case !supported:
			p.Error("Keys goes on after errors.ErrUnsupported")
		case errors.Is(err, errors.ErrUnsupported):
			supported = false
		case err != nil:
			p.Errorf("Keys of an empty store: %v", err)
		default:
			p.Errorf("Keys of an empty store yields %.100q", key)
		}
	}
	return supported
}
