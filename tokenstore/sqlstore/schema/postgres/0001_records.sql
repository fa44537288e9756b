-- name is the key itself up to 255 bytes, else its first 224 bytes and its SHA-256; rest is then what follows the 224.
-- Bytes, not text: keys and versions are compared byte by byte. The fill factor leaves updates room on their page.
CREATE TABLE IF NOT EXISTS {table} (
    name    bytea NOT NULL PRIMARY KEY,
    rest    bytea NOT NULL,
    version bytea NOT NULL,
    data    bytea NOT NULL
) WITH (fillfactor = 80);

-- Sealed data doesn't compress.
ALTER TABLE {table} ALTER COLUMN data SET STORAGE EXTERNAL;
