-- Times are seconds since 1970. A BLOB is sealed or a keyed digest; nothing here can be used without the key.

CREATE TABLE application (
    ikey     TEXT PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    skey     BLOB NOT NULL,
    policy   TEXT NOT NULL DEFAULT '{}',
    created  REAL NOT NULL
) STRICT;

CREATE TABLE user (
    user_id       TEXT PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE,
    status        TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'bypass', 'disabled')),
    failures      INTEGER NOT NULL DEFAULT 0,
    locked_until  REAL NOT NULL DEFAULT 0,
    created       REAL NOT NULL
) STRICT;

CREATE TABLE device (
    device_id   TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    kind        TEXT NOT NULL CHECK (kind IN ('phone', 'token')),
    name        TEXT NOT NULL DEFAULT '',
    number      TEXT NOT NULL DEFAULT '',
    page        BLOB UNIQUE,            -- digest of the phone page's cookie; NULL: no page
    otp         TEXT CHECK (otp IN ('totp', 'hotp')),
    otp_secret  BLOB,
    otp_digits  INTEGER NOT NULL DEFAULT 6,
    otp_next    INTEGER NOT NULL DEFAULT 0,  -- the first step or counter that has not been used up
    confirmed   INTEGER NOT NULL DEFAULT 1,  -- 0: an authenticator app that has not shown a right code yet
    created     REAL NOT NULL,
    seen        REAL NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX device_by_user ON device (user_id, created);

-- A link that makes a browser somebody's phone, or the record that a signed one was used.
CREATE TABLE activation (
    code       BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    device_id  TEXT REFERENCES device ON DELETE CASCADE,
    expires    REAL NOT NULL,
    used       REAL
) STRICT;

-- Bypass codes and texted codes.
CREATE TABLE code (
    user_id  TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    digest   BLOB NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('bypass', 'sms')),
    device_id TEXT REFERENCES device ON DELETE CASCADE,
    hint     TEXT NOT NULL DEFAULT '',
    expires  REAL NOT NULL,
    created  REAL NOT NULL,
    PRIMARY KEY (user_id, digest)
) STRICT;

CREATE TABLE login (
    txid        TEXT PRIMARY KEY,
    ikey        TEXT NOT NULL,
    user_id     TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    device_id   TEXT REFERENCES device ON DELETE SET NULL,
    factor      TEXT NOT NULL,
    result      TEXT NOT NULL CHECK (result IN ('waiting', 'allow', 'deny')),
    status      TEXT NOT NULL,
    number      TEXT NOT NULL DEFAULT '',  -- what has to be typed on the phone; empty: nothing
    details     TEXT NOT NULL DEFAULT '{}',
    created     REAL NOT NULL,
    expires     REAL NOT NULL,
    decided     REAL
) STRICT;
CREATE INDEX login_by_user ON login (user_id, created);
CREATE INDEX login_waiting ON login (device_id) WHERE result = 'waiting';
CREATE INDEX login_by_time ON login (created);

CREATE TABLE remembered (
    token    BLOB PRIMARY KEY,
    user_id  TEXT NOT NULL REFERENCES user ON DELETE CASCADE,
    ikey     TEXT NOT NULL REFERENCES application ON DELETE CASCADE,
    expires  REAL NOT NULL
) STRICT;

-- Texts and calls, as they were handed to the sender.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY,
    device_id  TEXT NOT NULL REFERENCES device ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('sms', 'phone')),
    message    BLOB NOT NULL,
    created    REAL NOT NULL
) STRICT;
CREATE INDEX outbox_by_device ON outbox (device_id, created);

CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    at       REAL NOT NULL,
    actor    TEXT NOT NULL,
    what     TEXT NOT NULL,
    details  TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX event_by_time ON event (at);

CREATE TABLE setting (
    name   TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT;

CREATE TABLE administrator (
    name         TEXT PRIMARY KEY,
    password     BLOB NOT NULL,  -- scrypt
    otp_secret   BLOB NOT NULL,
    otp_next     INTEGER NOT NULL DEFAULT 0,
    failures     INTEGER NOT NULL DEFAULT 0,
    locked_until REAL NOT NULL DEFAULT 0,
    created      REAL NOT NULL
) STRICT;

CREATE TABLE session (
    token    BLOB PRIMARY KEY,
    name     TEXT NOT NULL REFERENCES administrator ON DELETE CASCADE,
    created  REAL NOT NULL,
    seen     REAL NOT NULL
) STRICT;
