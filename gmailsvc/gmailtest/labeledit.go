package gmailtest

import (
	"fmt"
	"slices"
)

// maxLabelEdits is how many labels one request may add, and how many it may remove.
const maxLabelEdits = 100

// A labelEdit is what the modify methods are asked for.
type labelEdit struct {
	Add    []string `json:"addLabelIds"`
	Remove []string `json:"removeLabelIds"`
	none   bool     // nothing to add or remove is no mistake
}

// check says what is wrong with an edit. The caller holds the mailbox's lock.
func (e labelEdit) check(m *Mailbox) *apiError {
	if len(e.Add)+len(e.Remove) == 0 && !e.none {
		return badRequest("No label add or removes specified")
	}
	if max(len(e.Add), len(e.Remove)) > maxLabelEdits {
		return badRequest(fmt.Sprintf("Number of labels cannot exceed %d", maxLabelEdits))
	}
	for _, l := range slices.Concat(e.Add, e.Remove) {
		if m.label(l) == nil || slices.Contains(fixedLabels, l) {
			return badRequest("Invalid label: " + l)
		}
	}
	return nil
}

func (e labelEdit) apply(have []string) []string { return union(without(have, e.Remove), e.Add) }
