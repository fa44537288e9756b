package quota

// Prices says what the methods of the Gmail API cost, in quota units, by the methods' IDs in Google's discovery
// document, such as "gmail.users.messages.get". It is a map, so that a project with an agreement of its own can
// change a list or write one:
//
//	prices := quota.Since2026()
//	prices["gmail.users.messages.get"] = 5
//
// A list may be read concurrently while nobody changes it.
type Prices map[string]int

// unpriced is what a method costs that a list does not have: as much as the dearest that Google has published.
// Too high a price makes a call wait; too low a one makes Google reject others.
const unpriced = 100

// Since2026 returns the prices of projects created since 2026-05-01, whose users may each spend 6,000 units a
// minute. It is complete for gmail/v1, and the caller's to change.
// https://developers.google.com/workspace/gmail/api/reference/quota
func Since2026() Prices {
	p := make(Prices, len(methods))
	for _, m := range methods {
		p[m.id] = m.since
	}
	return p
}

// Before2026 returns the prices that older projects paid until May 2026, where a user may spend 15,000 units a
// minute. Google lets projects that used the API between November 2025 and April 2026 keep their limits and
// does not say which prices they pay. It is complete for gmail/v1, and the caller's to change.
func Before2026() Prices {
	p := make(Prices, len(methods))
	for _, m := range methods {
		p[m.id] = m.before
	}
	return p
}

// Units returns the price of a method, 100 for one that the list does not have.
func (p Prices) Units(method string) int {
	if units, ok := p[method]; ok {
		return units
	}
	return unpriced
}
