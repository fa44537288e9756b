-- Read by PostgreSQL and by SQLite. Times are seconds since 1970.

-- Who connected which accounts. A person is known by the account that they signed in with first.
CREATE TABLE IF NOT EXISTS webapp_accounts (
	person  TEXT   NOT NULL, -- Google's ID of that account
	user_id TEXT   NOT NULL, -- Google's ID of this one: what its grant is stored under
	email   TEXT   NOT NULL,
	added   BIGINT NOT NULL,
	PRIMARY KEY (person, user_id)
);

CREATE TABLE IF NOT EXISTS webapp_sessions (
	token   TEXT   PRIMARY KEY, -- the hash of what is in the cookie
	data    BYTEA  NOT NULL,
	expires BIGINT NOT NULL,
	ended   BIGINT NOT NULL -- 1: by signing out, or by a new token
);
CREATE INDEX IF NOT EXISTS webapp_sessions_expires ON webapp_sessions (expires);
