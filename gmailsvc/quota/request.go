package quota

// A Class is how urgent a request is.
type Class uint8

// The two classes. A tenth of the units is left to background work that waits, however many people there are.
const (
	// Background is for work that nobody waits for. It is spread evenly over the minute, and so leaves room for
	// people at any time.
	Background Class = iota
	// Interactive is for a person who waits. It overtakes background work and may spend in a second what the
	// minute has left.
	Interactive

	classes = 2
)

// String returns "background" or "interactive".
func (c Class) String() string {
	if c == Interactive {
		return "interactive"
	}
	return "background"
}

// A Request says what a call is going to cost.
type Request struct {
	// User is whose quota is spent: any text that stands for the user everywhere, say the ID token's sub.
	User string
	// Units is the price of the call, or of all parts of a batch together.
	Units int
	// Calls is how many calls are made at once: the parts of a batch. 0: one.
	Calls int
	// Class is how urgent it is. The zero Class is Background.
	Class Class
}
