"""The tables, as a list of migrations: `PRAGMA user_version` counts those that a file has had.

A migration that has been released is never edited; the next change is the next entry.
"""

#: "COAT": marks the file as ours, so that another application's database is refused, not filled.
APPLICATION_ID = 0x434F4154

FIRST = """
CREATE TABLE job (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT    NOT NULL UNIQUE CHECK (length(id) = 36),
    dialect        TEXT    NOT NULL CHECK (dialect IN ('v1', 'v3')),
    operation      TEXT    NOT NULL,
    owner          TEXT    NOT NULL,
    state          TEXT    NOT NULL DEFAULT 'pending'
                   CHECK (state IN ('pending', 'processing', 'completed', 'failed', 'cancelled')),
    model          TEXT    NOT NULL,
    targets        TEXT    NOT NULL CHECK (json_valid(targets)),
    target         INTEGER NOT NULL DEFAULT 0 CHECK (target >= 0),
    lane           TEXT    NOT NULL,
    priority       INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 7),
    attempt        INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    calls          INTEGER NOT NULL DEFAULT 0 CHECK (calls BETWEEN 0 AND attempt),
    tries          INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
    request_id     TEXT    NOT NULL,
    ttl_seconds    INTEGER NOT NULL CHECK (ttl_seconds > 0),
    created_at     INTEGER NOT NULL,
    claimed_at     INTEGER,
    started_at     INTEGER,
    run_at         INTEGER,
    completed_at   INTEGER,
    expires_at     INTEGER,
    status_code    INTEGER,
    resolved_model TEXT,
    cost           INTEGER CHECK (cost >= 0),
    CHECK ((state IN ('pending', 'processing')) = (completed_at IS NULL)),
    CHECK ((completed_at IS NULL) = (expires_at IS NULL)),
    CHECK ((completed_at IS NULL) = (status_code IS NULL)),
    CHECK (state <> 'processing' OR (started_at IS NOT NULL AND attempt > 0)),
    CHECK (state <> 'pending' OR started_at IS NULL),
    CHECK (run_at IS NULL OR state = 'pending')
) STRICT;

CREATE INDEX job_ready ON job (lane, owner, priority, seq) WHERE state = 'pending' AND run_at IS NULL;
CREATE INDEX job_held ON job (run_at) WHERE run_at IS NOT NULL;
CREATE INDEX job_tried ON job (claimed_at) WHERE state = 'pending' AND claimed_at IS NOT NULL;
CREATE INDEX job_running ON job (seq) WHERE state = 'processing';
CREATE INDEX job_expiry ON job (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX job_owner ON job (owner, seq);

CREATE TRIGGER job_ends_once BEFORE UPDATE OF state, completed_at, expires_at, status_code, attempt ON job
WHEN OLD.completed_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a job ends once');
END;

CREATE TABLE body (
    seq           INTEGER PRIMARY KEY REFERENCES job (seq) ON DELETE CASCADE,
    result        BLOB,
    codec         TEXT NOT NULL DEFAULT 'json' CHECK (codec IN ('json', 'json+zlib')),
    request       BLOB
) STRICT;

CREATE TABLE event (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    seq           INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    at            INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    attempt       INTEGER NOT NULL,
    data          TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(data))
) STRICT;
CREATE INDEX event_of_job ON event (seq, id);

CREATE TABLE delivery (
    id            TEXT    PRIMARY KEY,
    seq           INTEGER REFERENCES job (seq) ON DELETE SET NULL,
    owner         TEXT    NOT NULL,
    endpoint      TEXT,
    url           TEXT    NOT NULL,
    event         TEXT    NOT NULL,
    payload       BLOB    NOT NULL,
    state         TEXT    NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'delivered', 'dead')),
    attempts      INTEGER NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    next_at       INTEGER NOT NULL,
    ended_at      INTEGER,
    status_code   INTEGER,
    error         TEXT
) STRICT;
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'due';
CREATE INDEX delivery_of_job ON delivery (seq);

CREATE TABLE idempotency (
    owner         TEXT    NOT NULL,
    key           TEXT    NOT NULL,
    fingerprint   BLOB    NOT NULL,
    job_id        TEXT    NOT NULL,
    answer        BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

CREATE TABLE blob (
    id            TEXT    PRIMARY KEY,
    size_bytes    INTEGER NOT NULL CHECK (size_bytes >= 0),
    sha256        BLOB    NOT NULL CHECK (length(sha256) = 32),
    media_type    TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE upload (
    id            TEXT    PRIMARY KEY,
    owner         TEXT    NOT NULL,
    blob          TEXT    NOT NULL REFERENCES blob (id),
    file_name     TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX upload_expiry ON upload (expires_at);
CREATE INDEX upload_of_blob ON upload (blob);

CREATE TABLE blob_use (
    seq           INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    blob          TEXT    NOT NULL REFERENCES blob (id),
    role          TEXT    NOT NULL,
    PRIMARY KEY (seq, blob, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_use_of_blob ON blob_use (blob);

CREATE TABLE key (
    id            TEXT    PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    sha256        BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
    admin         INTEGER NOT NULL DEFAULT 0 CHECK (admin IN (0, 1)),
    limits        TEXT    NOT NULL DEFAULT '{}' CHECK (json_valid(limits)),
    created_at    INTEGER NOT NULL
) STRICT;
"""

#: Retries name their parent, cancels can be set for later, traces go on.
TICKETS = """
ALTER TABLE job ADD COLUMN cancel_at INTEGER;
ALTER TABLE job ADD COLUMN parent TEXT;
ALTER TABLE job ADD COLUMN trace TEXT;
CREATE INDEX job_cancel ON job (cancel_at) WHERE cancel_at IS NOT NULL AND completed_at IS NULL;
"""

#: Keys expire, and their earlier tokens are valid for a while.
KEYS = """
ALTER TABLE key ADD COLUMN expires_at INTEGER;
CREATE TABLE key_token (
    sha256        BLOB    PRIMARY KEY CHECK (length(sha256) = 32),
    key           TEXT    NOT NULL REFERENCES key (id) ON DELETE CASCADE,
    ends_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX key_token_of_key ON key_token (key);
"""

#: A row that is written to know whether it can be.
PULSE = """
CREATE TABLE pulse (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    at            INTEGER NOT NULL
) STRICT;
"""

#: Files belong to jobs: with the last that uses it a blob's row goes, in the same statement; its id stays until the
#: file is gone too. Checkpoints name jobs that providers run. Clients wait for attended jobs on open connections.
FILES = """
DROP TABLE blob_use;
CREATE TABLE blob_use (
    seq           INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    role          TEXT    NOT NULL,
    place         INTEGER NOT NULL CHECK (place >= 0),
    blob          TEXT    NOT NULL REFERENCES blob (id),
    file_name     TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (seq, role, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_use_of_blob ON blob_use (blob);

CREATE TABLE blob_gone (
    id            TEXT    PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER blob_use_ends AFTER DELETE ON blob_use
WHEN NOT EXISTS (SELECT 1 FROM blob_use WHERE blob = OLD.blob)
    AND NOT EXISTS (SELECT 1 FROM upload WHERE blob = OLD.blob)
BEGIN
    DELETE FROM blob WHERE id = OLD.blob;
END;

CREATE TRIGGER upload_ends AFTER DELETE ON upload
WHEN NOT EXISTS (SELECT 1 FROM blob_use WHERE blob = OLD.blob)
    AND NOT EXISTS (SELECT 1 FROM upload WHERE blob = OLD.blob)
BEGIN
    DELETE FROM blob WHERE id = OLD.blob;
END;

CREATE TRIGGER blob_goes AFTER DELETE ON blob
BEGIN
    INSERT OR IGNORE INTO blob_gone (id) VALUES (OLD.id);
END;

CREATE TABLE checkpoint (
    seq           INTEGER PRIMARY KEY REFERENCES job (seq) ON DELETE CASCADE,
    target        INTEGER NOT NULL,
    value         TEXT    NOT NULL
) STRICT;

CREATE TABLE attended (
    seq           INTEGER PRIMARY KEY REFERENCES job (seq) ON DELETE CASCADE
) STRICT;
"""

#: Uploads have a purpose, and are listed. Vendors' answers are kept as they came, for who wants them. Hooks say who
#: is told of a job's end; a delivery's payload is frozen in the commit of that end.
UNIVERSAL = """
ALTER TABLE body ADD COLUMN original BLOB;
ALTER TABLE upload ADD COLUMN purpose TEXT NOT NULL DEFAULT 'general';
CREATE INDEX upload_of_owner ON upload (owner, created_at, id, expires_at, purpose);
CREATE INDEX job_of_v3 ON job (owner, seq, operation, state, expires_at, dialect) WHERE dialect = 'v3';

CREATE TABLE hook (
    seq           INTEGER PRIMARY KEY REFERENCES job (seq) ON DELETE CASCADE,
    endpoint      TEXT,
    url           TEXT,
    parameters    BLOB,
    CHECK ((endpoint IS NULL) <> (url IS NULL))
) STRICT;

DROP TABLE delivery;
CREATE TABLE delivery (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE CHECK (length(id) = 36),
    job_id        TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    dialect       TEXT    NOT NULL CHECK (dialect IN ('v1', 'v3')),
    endpoint      TEXT,
    url           TEXT,
    receiver      TEXT    NOT NULL,
    event         TEXT    NOT NULL,
    state         TEXT    NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'delivered', 'dead')),
    attempts      INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    tries         INTEGER NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND attempts),
    created_at    INTEGER NOT NULL,
    due_since     INTEGER NOT NULL,
    next_at       INTEGER NOT NULL,
    tried_at      INTEGER,
    ended_at      INTEGER,
    status_code   INTEGER,
    error         TEXT,
    CHECK ((endpoint IS NULL) <> (url IS NULL)),
    CHECK ((state = 'due') = (ended_at IS NULL))
) STRICT;
CREATE INDEX delivery_due ON delivery (owner, receiver, next_at) WHERE state = 'due';
CREATE INDEX delivery_dead ON delivery (seq) WHERE state = 'dead';
CREATE INDEX delivery_ended ON delivery (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX delivery_of_owner ON delivery (owner, seq);
CREATE INDEX delivery_of_job ON delivery (job_id);

CREATE TABLE delivery_payload (
    seq           INTEGER PRIMARY KEY REFERENCES delivery (seq) ON DELETE CASCADE,
    payload       BLOB    NOT NULL
) STRICT;

CREATE TABLE secret (
    subject       TEXT    PRIMARY KEY,
    secret        BLOB    NOT NULL,
    created_at    INTEGER NOT NULL,
    earlier       BLOB,
    earlier_until INTEGER,
    CHECK ((earlier IS NULL) = (earlier_until IS NULL))
) STRICT;

CREATE TABLE endpoint_off (
    name          TEXT    PRIMARY KEY,
    since         INTEGER NOT NULL,
    reason        TEXT    NOT NULL
) STRICT;
"""

MIGRATIONS: tuple[str, ...] = (FIRST, TICKETS, KEYS, PULSE, FILES, UNIVERSAL)
