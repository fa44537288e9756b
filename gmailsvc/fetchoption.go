package gmailsvc

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A Format says how much of a message is fetched. All cost the same of the quota. See
// https://developers.google.com/workspace/gmail/api/reference/rest/v1/Format.
type Format string

// The formats of the API.
const (
	FormatFull     Format = "full"     // all but files, and texts that Gmail serves apart
	FormatMetadata Format = "metadata" // labels and the header of the message
	FormatMinimal  Format = "minimal"  // labels, dates and the snippet
	FormatRaw      Format = "raw"      // the message as it was received, attachments included; not for threads
)

// A FetchOption changes how messages are fetched.
type FetchOption interface{ applyFetch(*fetchOptions) }

type fetchOptions struct {
	format  Format
	headers []string
	single  bool // never by thread
}

type fetchOption func(*fetchOptions)

func (o fetchOption) applyFetch(f *fetchOptions) { o(f) }

// InFormat fetches messages in a Format. Without it they come full.
func InFormat(f Format) FetchOption {
	return fetchOption(func(o *fetchOptions) { o.format, o.headers = f, nil })
}

// HeadersOnly fetches messages in FormatMetadata, with just the fields of those names in their header.
func HeadersOnly(names ...string) FetchOption {
	return fetchOption(func(o *fetchOptions) { o.format, o.headers = FormatMetadata, slices.Clone(names) })
}

// WithoutThreads has FetchMessages get each message by itself. Where few messages of long threads are wanted, that saves
// what would come along and be thrown away, at the price of more of the quota.
func WithoutThreads() FetchOption {
	return fetchOption(func(o *fetchOptions) { o.single = true })
}

func fetchOptionsOf(opts []FetchOption) (fetchOptions, error) {
	o := fetchOptions{format: FormatFull}
	for _, opt := range opts {
		opt.applyFetch(&o)
	}
	if !slices.Contains([]Format{FormatFull, FormatMetadata, FormatMinimal, FormatRaw}, o.format) {
		return o, fmt.Errorf("%q is no Format of messages; use one of the Format constants", o.format)
	}
	return o, nil
}

// metadataFields are what a Message has in FormatMetadata. Gmail would add empty parts and bodies.
const metadataFields = "id,threadId,labelIds,snippet,historyId,internalDate,sizeEstimate,payload(mimeType,headers)"

// query returns the query of a request for a message, or for a thread.
func (o *fetchOptions) query(thread bool) string {
	var q strings.Builder
	q.WriteString("?alt=json&prettyPrint=false&format=" + string(o.format))
	if o.format == FormatMetadata {
		mask := metadataFields
		if thread {
			mask = "id,historyId,messages(" + mask + ")"
		}
		q.WriteString("&fields=" + url.QueryEscape(mask))
	}
	for _, name := range o.headers {
		q.WriteString("&metadataHeaders=" + url.QueryEscape(name))
	}
	return q.String()
}
