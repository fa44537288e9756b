package gmailtest

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	defaultPage = 100
	maxPage     = 500
)

// afterEmpty begins the tokens that empty pages hand out under Config.EmptyPages.
const afterEmpty = "~"

// pageSize reads maxResults.
func (c *call) pageSize() (int, *apiError) {
	v := c.query.Get("maxResults")
	if v == "" {
		return defaultPage, nil
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil || n == 0 {
		return 0, badRequest(fmt.Sprintf("Invalid value at 'max_results' (TYPE_UINT32), %q", v))
	}
	return int(min(n, maxPage)), nil
}

// pageToken reads the place where the page before this one ended; token is nil for the first page. Where emptyFirst
// is set the page has to be empty, and that is the token of the next.
func (c *call) pageToken(size int) (token []byte, emptyFirst string, _ *apiError) {
	v, follows := strings.CutPrefix(c.query.Get("pageToken"), afterEmpty)
	if v != "" {
		b, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil || len(b) != size+4 || crc32.ChecksumIEEE(b[:size]) != binary.BigEndian.Uint32(b[size:]) {
			return nil, "", badRequest("Invalid pageToken")
		}
		token = b[:size]
	}
	if c.server.cfg.EmptyPages && !follows {
		emptyFirst = afterEmpty + v
	}
	return token, emptyFirst, nil
}

// formatToken makes a page token of a place.
func formatToken(place []byte) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(place, crc32.ChecksumIEEE(place)))
}
