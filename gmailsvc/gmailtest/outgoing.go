package gmailtest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// An outgoing message is one as Gmail sends it.
type outgoing struct {
	kept       []byte   // in the sender's own mailbox
	delivered  []byte   // to the recipients: without Bcc
	recipients []string // addresses
}

// outgoing makes what Gmail sends of what an application handed in: from the user's own address, with a date and a
// Message-ID where they were missing. sequence tells equal messages apart.
func (u User) outgoing(raw []byte, now time.Time, sequence uint64) (*outgoing, *apiError) {
	fields, body := splitFields(crlf(raw))
	var out outgoing
	for _, name := range []string{"To", "Cc", "Bcc"} {
		for _, f := range fields {
			if !f.is(name) || strings.TrimSpace(f.value()) == "" {
				continue
			}
			addresses, err := mail.ParseAddressList(f.value())
			if err != nil {
				return nil, badRequest("Invalid " + name + " header")
			}
			for _, a := range addresses {
				out.recipients = union(out.recipients, []string{strings.ToLower(a.Address)})
			}
		}
	}
	if len(out.recipients) == 0 {
		return nil, badRequest("Recipient address required")
	}
	fields = u.sign(fields)
	hash := sha256.Sum256(fmt.Appendf(slices.Clip(raw), "%s %d", u.Sub, sequence))
	for _, missing := range []field{
		field("Date: " + now.Format(time.RFC1123Z) + "\r\n"),
		field(fmt.Sprintf("Message-ID: <CA%x@mail.gmail.com>\r\n", hash[:20])),
		field("MIME-Version: 1.0\r\n"),
	} {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.is(missing.name()) }) {
			fields = append(fields, missing)
		}
	}
	out.kept = joinFields(fields, body)
	public := slices.DeleteFunc(slices.Clone(fields), func(f field) bool { return f.is("Bcc") })
	out.delivered = joinFields(public, body)
	return &out, nil
}

// sign returns fields with one From, of the user's. Gmail keeps a name that goes with another's address, not
// the address.
func (u User) sign(fields []field) []field {
	isFrom := func(f field) bool { return f.is("From") }
	from := mail.Address{Address: u.Email}
	if i := slices.IndexFunc(fields, isFrom); i >= 0 {
		given, err := mail.ParseAddress(fields[i].value())
		alone := !slices.ContainsFunc(fields[i+1:], isFrom)
		if err == nil && alone && strings.EqualFold(given.Address, u.Email) {
			return fields
		}
		if err == nil {
			from.Name = given.Name
		}
	}
	return append([]field{field("From: " + from.String() + "\r\n")}, slices.DeleteFunc(fields, isFrom)...)
}

// A field is one of a header as it stands there, with its line ends.
type field string

func (f field) name() string {
	name, _, _ := strings.Cut(string(f), ":")
	return name
}

func (f field) is(name string) bool { return strings.EqualFold(f.name(), name) }

// value returns the field unfolded.
func (f field) value() string {
	_, value, _ := strings.Cut(string(f), ":")
	return strings.TrimSpace(strings.ReplaceAll(value, "\r\n", ""))
}

// splitFields parts the fields of a header from the body. What follows the first line that can be none is all body.
func splitFields(raw []byte) (fields []field, body []byte) {
	rest := raw
	for len(rest) > 0 {
		line, after, _ := bytes.Cut(rest, []byte("\r\n"))
		name, _, ok := bytes.Cut(line, []byte(":"))
		switch {
		case len(line) == 0:
			return fields, after
		case (line[0] == ' ' || line[0] == '\t') && len(fields) > 0:
			fields[len(fields)-1] += field(line) + "\r\n"
		case !ok || len(name) == 0 || bytes.ContainsAny(name, " \t"):
			return fields, rest
		default:
			fields = append(fields, field(line)+"\r\n")
		}
		rest = after
	}
	return fields, nil
}

func joinFields(fields []field, body []byte) []byte {
	var b bytes.Buffer
	for _, f := range fields {
		b.WriteString(string(f))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}
