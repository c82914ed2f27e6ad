-- When the rows of a ledger were let go to save room; its spec stays, and the same ledger can be made again.
alter table store.ledger add column pruned_at timestamptz;

-- What is recognised of a conversation's language; the row's own label, if it has one, is in `conversation`.
create table store.language (
    content_sha256 varchar not null,
    detector       varchar not null,
    language       varchar,                  -- ISO 639-1; NULL where nothing was recognised
    primary key (content_sha256, detector)
);

create table store.calibration (
    calibration_id varchar primary key,      -- digest of the spec
    scope_kind     varchar not null,
    scope          varchar not null,
    spec           varchar not null,         -- canonical JSON
    result         varchar not null,         -- JSON
    created_at     timestamptz not null
);

-- Selectors that compare nothing have no threshold.
alter table store.ledger alter column threshold drop not null;
