package filestore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"

	"github.com/mailgrant/mailgrant/tokenstore"
)

// The layout of a record's file; numbers are big-endian:
//
//	8 bytes  magic; the last byte is the version of this layout
//	2        length of the key
//	1        length of the version
//	8        length of the data
//	...      key, version
//	4        CRC-32C of all the above, so that a listing need not read the data
//	...      data
//	4        CRC-32C of all the above
//
// The checksums are against accidents. Against people there is the sealing by tokenstore.Grants.
const (
	magic      = "mgrant\x00\x01"
	prefixSize = len(magic) + 2 + 1 + 8
	sumSize    = 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// damage is what is wrong with the content of a file.
type damage string

func (d damage) Error() string { return string(d) }

const (
	truncated   = damage("it is truncated")
	badHeader   = damage("its header is damaged")
	badData     = damage("its data is damaged")
	unknownKind = damage("it is no record, or one of a newer release")
)

// encode returns the content of the file for key and r, which tokenstore.CheckSwap has passed.
func encode(key string, r tokenstore.Record) []byte {
	b := make([]byte, 0, prefixSize+len(key)+len(r.Version)+len(r.Data)+2*sumSize)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(key)))
	b = append(b, byte(len(r.Version)))
	b = binary.BigEndian.AppendUint64(b, uint64(len(r.Data)))
	b = append(b, key...)
	b = append(b, r.Version...)
	b = appendSum(b)
	b = append(b, r.Data...)
	return appendSum(b)
}

func appendSum(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// A header is what precedes the data.
type header struct {
	key, version string
	dataSize     int64
	sum          uint32 // of the header and its own checksum
}

// readHeader reads the header of a file of the given size. Its error is a damage, or r's own.
func readHeader(r io.Reader, size int64) (header, error) {
	if size < int64(prefixSize+2*sumSize) {
		return header{}, truncated
	}
	prefix := make([]byte, prefixSize)
	if err := readFull(r, prefix); err != nil {
		return header{}, err
	}
	if string(prefix[:len(magic)]) != magic {
		return header{}, unknownKind
	}
	lengths := prefix[len(magic):]
	keySize, versionSize := int(binary.BigEndian.Uint16(lengths)), int(lengths[2])
	dataSize := binary.BigEndian.Uint64(lengths[3:])
	if keySize < 1 || keySize > tokenstore.MaxKeyBytes || versionSize < 1 || versionSize > tokenstore.MaxVersionBytes {
		return header{}, badHeader
	}
	names := make([]byte, keySize+versionSize+sumSize)
	if err := readFull(r, names); err != nil {
		return header{}, err
	}
	sum := crc32.Update(crc32.Checksum(prefix, castagnoli), castagnoli, names[:keySize+versionSize])
	if binary.BigEndian.Uint32(names[keySize+versionSize:]) != sum {
		return header{}, badHeader
	}
	// Compared before anything of that size is allocated.
	switch have := uint64(size) - uint64(prefixSize+len(names)); {
	case have < sumSize || dataSize > have-sumSize:
		return header{}, truncated
	case dataSize < have-sumSize:
		return header{}, damage("something follows its data")
	}
	return header{
		key:      string(names[:keySize]),
		version:  string(names[keySize : keySize+versionSize]),
		dataSize: int64(dataSize),
		sum:      crc32.Update(sum, castagnoli, names[keySize+versionSize:]),
	}, nil
}

// readRecord reads a whole file of the given size. Its error is a damage, or r's own.
func readRecord(r io.Reader, size int64) (key string, record tokenstore.Record, err error) {
	h, err := readHeader(r, size)
	if err != nil {
		return "", tokenstore.Record{}, err
	}
	data := make([]byte, h.dataSize+sumSize)
	if err := readFull(r, data); err != nil {
		return "", tokenstore.Record{}, err
	}
	data, sum := data[:h.dataSize:h.dataSize], data[h.dataSize:]
	if binary.BigEndian.Uint32(sum) != crc32.Update(h.sum, castagnoli, data) {
		return "", tokenstore.Record{}, badData
	}
	return h.key, tokenstore.Record{Version: h.version, Data: data}, nil
}

func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return truncated
	}
	return err
}
