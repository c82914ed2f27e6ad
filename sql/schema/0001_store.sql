-- Internal schema of the warehouse. Not a contract: people read the views and macros of schema `main`.
-- Rows are content-addressed and never updated; `from_seq`/`to_seq` say in which pool versions they count.

create table store.source (
    source     varchar primary key,
    format     varchar,                     -- recognised at the first ingest; NULL until a row was readable
    field_map  varchar not null default '{}',
    licence    varchar
);

create table store.ingest_batch (
    batch_id           varchar primary key,
    source             varchar not null,
    seq                bigint  not null,     -- counts the ingests of a source that changed something
    format             varchar,
    reader             varchar not null,     -- version of the parsing rules
    n_read             bigint  not null,     -- rows in the files of this batch
    n_new              bigint  not null,     -- rows the pool did not hold before
    n_exact_duplicates bigint  not null,
    n_quarantined      bigint  not null,
    n_withdrawn        bigint  not null,     -- rows that left the pool
    extra_fields       varchar not null,     -- JSON list of columns seen and ignored
    run_id             varchar,
    ingested_at        timestamptz not null
);

create table store.file (
    source        varchar not null,
    uri           varchar not null,          -- path below landing/<source>/
    file_sha256   varchar not null,
    n_bytes       bigint  not null,
    container     varchar not null,
    compression   varchar not null,
    n_read        bigint  not null,
    batch_id      varchar not null,
    from_seq      bigint  not null,
    to_seq        bigint                     -- NULL while the file stands in landing
);

create table store.conversation (
    sample_id      varchar not null,         -- '<source>:' + first 32 hex of content_sha256
    source         varchar not null,
    content_sha256 varchar not null,
    conversation   varchar not null,         -- canonical JSON, the hashed text
    n_turns        integer not null,
    n_messages     integer not null,
    n_chars        bigint  not null,
    has_system     boolean not null,
    has_tools      boolean not null,
    language       varchar,                  -- the row's own label, if it has one
    batch_id       varchar not null
);

create table store.turn (
    sample_id                varchar not null,
    turn                     integer not null,
    system                   varchar,
    instruction              varchar not null,
    response                 varchar not null,
    complexity_prompt_sha256 varchar not null,   -- sha256 of canonical JSON [instruction]
    quality_prompt_sha256    varchar not null    -- sha256 of canonical JSON [instruction, response]
);

create table store.occurrence (
    source      varchar not null,
    uri         varchar not null,
    file_sha256 varchar not null,
    line        bigint  not null,
    sample_id   varchar not null,
    own_id      varchar,                     -- the row's own id: a label, never a key
    from_seq    bigint  not null,
    to_seq      bigint
);

create table store.quarantine (
    source      varchar not null,
    uri         varchar not null,
    file_sha256 varchar not null,
    line        bigint  not null,
    reason      varchar not null,
    detail      varchar not null,
    raw_prefix  varchar not null,
    batch_id    varchar not null,
    from_seq    bigint  not null,
    to_seq      bigint
);

create table store.takedown (
    sample_id varchar primary key,
    reason    varchar not null,
    taken_at  timestamptz not null
);

create table store.pool_version (
    source       varchar not null,
    seq          bigint  not null,
    pool_version varchar not null,           -- digest of the content hashes in the pool
    n_rows       bigint  not null,
    created_at   timestamptz not null,
    primary key (source, seq)
);

-- Derived at each ingest: one row per conversation in the pool now, with its first occurrence.
create table store.pool_row (
    sample_id    varchar not null,
    source       varchar not null,
    own_id       varchar,
    uri          varchar not null,
    line         bigint  not null,
    batch_id     varchar not null,
    pool_version varchar not null
);

create table store.fingerprint (
    fingerprint varchar primary key,
    kind        varchar not null,            -- scorer | embedder
    name        varchar not null,
    spec        varchar not null             -- canonical JSON
);

-- Which fingerprint covers which pool version of a source: the last completed run of each step.
create table store.coverage (
    source       varchar not null,
    step         varchar not null,           -- complexity | quality | embedding
    fingerprint  varchar not null,
    pool_version varchar not null,
    primary key (source, step)
);

create table store.scoring_attempt (
    step        varchar not null,
    source      varchar not null,
    fingerprint varchar,
    error       varchar not null,
    failed_at   timestamptz not null
);

-- Derived: mirror of the scores of a source's turns under its current fingerprints.
create table store.scored_turn (
    source    varchar not null,
    sample_id varchar not null,
    turn      integer not null,
    measure   varchar not null,
    scorer    varchar not null,
    score     double,
    status    varchar not null
);

create table store.scored_pool (
    sample_id         varchar not null,
    source            varchar not null,
    content_sha256    varchar not null,
    n_turns           integer not null,
    complexity        double,                -- mean over turns, for reading
    quality           double,
    evol_score        double,                -- configured aggregate of per-turn products
    turn_products     double[],              -- NULL when some turn lacks a score
    unscored_reason   varchar,
    scorer_complexity varchar not null,
    scorer_quality    varchar not null,
    pool_version      varchar not null
);

create table store.ledger (
    ledger_id  varchar primary key,
    scope_kind varchar not null,             -- source | mixture
    scope      varchar not null,
    spec       varchar not null,             -- canonical JSON; ledger_id is its digest
    threshold  double  not null,
    n_rows     bigint  not null,
    n_kept     bigint  not null,             -- depth: budgets up to here can be cut
    n_visited  bigint  not null,
    exhausted  boolean not null,
    trial      boolean not null,
    created_at timestamptz not null
);

create table store.ledger_row (
    ledger_id     varchar not null,
    sample_id     varchar not null,
    rank          bigint,                    -- 1-based place in score order
    verdict       varchar not null,
    reason        varchar,
    evol_score    double,
    kept_position bigint,                    -- 1-based place among the kept rows
    blocked_by    varchar,                   -- nearest row kept before this one
    similarity    double
);

create table store.ledger_head (
    scope_kind varchar not null,
    scope      varchar not null,
    ledger_id  varchar not null,
    primary key (scope_kind, scope)
);

create table store.selection (
    selection_version varchar primary key,
    scope_kind        varchar not null,
    scope             varchar not null,
    budget            bigint  not null,
    n_rows            bigint  not null,
    ledger_id         varchar not null,
    members_sha256    varchar not null,
    spec              varchar not null,
    directory         varchar not null,      -- below $DEITA_HOME
    trial             boolean not null,
    run_id            varchar,
    created_at        timestamptz not null
);

create table store.selection_member (
    selection_version varchar not null,
    position          bigint  not null,      -- 1-based place in the selection
    sample_id         varchar not null,
    rank              bigint  not null,
    evol_score        double  not null
);

create table store.selection_head (
    scope_kind        varchar not null,
    scope             varchar not null,
    budget            bigint  not null,
    selection_version varchar not null,
    primary key (scope_kind, scope, budget)
);
