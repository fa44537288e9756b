-- name is the key itself up to 255 bytes, else its first 224 bytes and its SHA-256; rest is then what follows the 224.
-- Bytes, not text: keys and versions are compared byte by byte, whatever the collation of the database.
CREATE TABLE IF NOT EXISTS {table} (
    name    VARBINARY(256)  NOT NULL PRIMARY KEY,
    rest    BLOB            NOT NULL,
    version VARBINARY(64)   NOT NULL,
    data    LONGBLOB        NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;
