-- name is the key itself up to 255 bytes, else its first 224 bytes and its SHA-256; rest is then what follows the 224.
-- Bytes, not text: keys and versions are compared byte by byte.
CREATE TABLE IF NOT EXISTS {table} (
    name    BLOB NOT NULL PRIMARY KEY,
    rest    BLOB NOT NULL,
    version BLOB NOT NULL,
    data    BLOB NOT NULL
);
