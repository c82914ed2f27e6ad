-- What every public view, column and macro means, kept in the catalog so that any client can show it.
-- A column reads "meaning [unit or range]; NULL when". Without the last part it is never NULL. The columns of a macro
-- stand in its own comment, one a line. docs/sql.md repeats these texts, and a test holds the two together.

comment on view main.pool is 'One row per conversation that is in the pool now.';
comment on column main.pool.sample_id is 'id of the row: its source, a colon and the first 32 hex digits of its content hash';
comment on column main.pool.source is 'source that it belongs to';
comment on column main.pool.own_id is 'the id that the row brought along, a label only; NULL when it brought none';
comment on column main.pool.n_turns is '(user, assistant) pairs [count, 0 or more]';
comment on column main.pool.n_messages is 'messages of any role [count, 1 or more]';
comment on column main.pool.n_chars is 'text of all messages [characters]';
comment on column main.pool.language is 'the row''s own label, unchanged; NULL when it brought none';
comment on column main.pool.licence is 'licence of the source; NULL when none was given';
comment on column main.pool.has_system is 'it has a system message';
comment on column main.pool.has_tools is 'it declares tools, or calls one';
comment on column main.pool.conversations is 'canonical conversation [JSON text: messages, and tools where there are any]';
comment on column main.pool.file is 'file that it was first read from [path below landing/<source>/]';
comment on column main.pool.line is 'place in that file [line of text, or row of a list or Parquet file; from 1]';
comment on column main.pool.batch_id is 'ingest that first brought it';
comment on column main.pool.pool_version is 'version of its source''s pool now [digest of the content hashes]';

comment on view main.turns is 'One row per (user, assistant) pair of a conversation that is in the pool now.';
comment on column main.turns.sample_id is 'conversation';
comment on column main.turns.turn is 'place of the pair in it [count, from 0]';
comment on column main.turns.system is 'text of the system message; NULL when there is none';
comment on column main.turns.instruction is 'what the user wrote';
comment on column main.turns.response is 'last assistant text before the next user message; empty when there was none';
comment on column main.turns.n_chars_instruction is 'length of the instruction [characters]';
comment on column main.turns.n_chars_response is 'length of the response [characters]';

comment on view main.scores is 'One row per turn and measure, under the scorer that last covered its source.';
comment on column main.scores.sample_id is 'conversation';
comment on column main.scores.turn is 'turn of it [count, from 0]';
comment on column main.scores.measure is 'what was scored [complexity or quality]';
comment on column main.scores.scorer is 'fingerprint of the scorer';
comment on column main.scores.score is 'the score [1 to 6]; NULL when status is neither ok nor truncated';
comment on column main.scores.status is 'how it went [ok, truncated, too_long, empty_response or non_finite]';

comment on view main.scored_pool is 'One row per conversation of a source that was scored.';
comment on column main.scored_pool.sample_id is 'conversation';
comment on column main.scored_pool.source is 'source that it belongs to';
comment on column main.scored_pool.n_turns is '(user, assistant) pairs [count, 0 or more]';
comment on column main.scored_pool.complexity is 'mean complexity of its turns, for reading [1 to 6]; NULL when some turn has none';
comment on column main.scored_pool.quality is 'mean quality of its turns, for reading [1 to 6]; NULL when some turn has none';
comment on column main.scored_pool.evol_score is 'complexity times quality of each turn, put together as the settings say [1 to 36 a turn, added up by default]; NULL when some turn lacks a score';
comment on column main.scored_pool.scorer_complexity is 'fingerprint of the complexity scorer';
comment on column main.scored_pool.scorer_quality is 'fingerprint of the quality scorer';
comment on column main.scored_pool.embedder is 'fingerprint of the embedder that last covered the source; NULL when none has';

comment on view main.ledger is 'One row per conversation and scope in the ledgers that are current.';
comment on column main.ledger.scope_kind is 'kind of scope [source or mixture]';
comment on column main.ledger.scope is 'source or mixture that was selected from';
comment on column main.ledger.ledger_id is 'ledger [digest of all that decided it]';
comment on column main.ledger.sample_id is 'conversation';
comment on column main.ledger.rank is 'place in the order in which rows are visited [from 1]; NULL when it did not take part';
comment on column main.ledger.verdict is 'what became of it [kept, near_duplicate, contaminated, excluded, over_quota, unvisited, unscored or invalid]';
comment on column main.ledger.reason is 'why, in words, where the verdict alone does not say; NULL elsewhere';
comment on column main.ledger.evol_score is 'score that it was ordered by; NULL when some turn lacks a score';
comment on column main.ledger.kept_position is 'place among the kept rows: it is in every selection with at least this budget [from 1]; NULL when it was not kept';
comment on column main.ledger.blocked_by is 'kept row that resembles it most, of those kept before it; NULL for the first one and for rows that were not compared';
comment on column main.ledger.similarity is 'cosine similarity to that row [-1 to 1]; NULL for the first one and for rows that were not compared';
comment on column main.ledger.threshold is 'similarity above which a row was dropped [-1 to 1]; NULL for selectors that have none';
comment on column main.ledger.source is 'source that the conversation belongs to';

comment on view main.selections is 'One row per selection version, trials and earlier ones included.';
comment on column main.selections.selection_version is 'version [digest of what decided it and of its ordered members]';
comment on column main.selections.scope_kind is 'kind of scope [source or mixture]';
comment on column main.selections.scope is 'source or mixture that was selected from';
comment on column main.selections.budget is 'rows wanted [count, 1 or more]';
comment on column main.selections.n_rows is 'rows that it has: fewer than its budget where the pool gave no more [count]';
comment on column main.selections.ledger_id is 'ledger that it was cut from';
comment on column main.selections.members_sha256 is 'digest of the ordered sample ids: equal for equal rows';
comment on column main.selections.is_head is 'it is the current version of its scope and budget';
comment on column main.selections.trial is 'it was made by other parameters than the settings, or of results that a check refused since';
comment on column main.selections.created_at is 'when it was registered [time with zone, UTC]';
comment on column main.selections.directory is 'folder of its files [path below the home]';
comment on column main.selections.run_id is 'Dagster run that made it; NULL when it was made outside of one';

comment on view main.selected is 'One row per selection version and row in it.';
comment on column main.selected.selection_version is 'version';
comment on column main.selected.position is 'place in the selection [from 1]';
comment on column main.selected.sample_id is 'conversation, which may have left the pool since';
comment on column main.selected.rank is 'place in the order in which its ledger visited rows [from 1]';
comment on column main.selected.evol_score is 'score that it was ordered by then';
comment on column main.selected.scope_kind is 'kind of scope [source or mixture]';
comment on column main.selected.scope is 'source or mixture that was selected from';
comment on column main.selected.budget is 'rows wanted [count, 1 or more]';
comment on column main.selected.source is 'source that the conversation belongs to';
comment on column main.selected.conversations is 'canonical conversation [JSON text: messages, and tools where there are any]';

comment on view main.lineage is 'One row per selected row and place where it stood in the pool version that was selected from.';
comment on column main.lineage.selection_version is 'version';
comment on column main.lineage.position is 'place in the selection [from 1]';
comment on column main.lineage.sample_id is 'conversation';
comment on column main.lineage.source is 'source that it belongs to';
comment on column main.lineage.file is 'file that it was read from [path below landing/<source>/]; NULL when no place of it is on record';
comment on column main.lineage.file_sha256 is 'sha256 of that file''s bytes; NULL when no place of it is on record';
comment on column main.lineage.line is 'place in that file [line of text, or row of a list or Parquet file; from 1]; NULL when no place of it is on record';
comment on column main.lineage.own_id is 'the id that it brought along there; NULL when it brought none';
comment on column main.lineage.batch_id is 'ingest that read the file; NULL when no place of it is on record';
comment on column main.lineage.ingest_run_id is 'Dagster run of that ingest; NULL when it was made outside of one';
comment on column main.lineage.pool_version is 'version of its source''s pool that was selected from; NULL when the version pins none for it';
comment on column main.lineage.scorer_complexity is 'fingerprint of the complexity scorer that decided';
comment on column main.lineage.scorer_quality is 'fingerprint of the quality scorer that decided';
comment on column main.lineage.embedder is 'fingerprint of the embedder that decided; NULL for selectors that compare nothing';
comment on column main.lineage.ledger_id is 'ledger that the version was cut from';
comment on column main.lineage.verdict is 'its verdict there [kept]';
comment on column main.lineage.rank is 'place in the order in which that ledger visited rows [from 1]';
comment on column main.lineage.kept_position is 'place among the rows that the ledger kept [from 1]';
comment on column main.lineage.evol_score is 'score that it was ordered by then';
comment on column main.lineage.similarity is 'cosine similarity to blocked_by [-1 to 1]; NULL for the first one and for selectors that compare nothing';
comment on column main.lineage.blocked_by is 'kept row that resembles it most, of those kept before it; NULL where similarity is';
comment on column main.lineage.run_id is 'Dagster run that made the version; NULL when it was made outside of one';
comment on column main.lineage.created_at is 'when the version was registered [time with zone, UTC]';

comment on view main.quarantine is 'One row per row of a file in landing that could not be read.';
comment on column main.quarantine.source is 'source that the file belongs to';
comment on column main.quarantine.file is 'file that it stands in [path below landing/<source>/]';
comment on column main.quarantine.line is 'place in that file [line of text, or row of a list or Parquet file; from 1]';
comment on column main.quarantine.reason is 'why it could not be read [code; deita-assets quarantine --reasons explains each]';
comment on column main.quarantine.detail is 'where in the row, what was found, and what was expected';
comment on column main.quarantine.raw_prefix is 'how the row begins, as it stands in the file';
comment on column main.quarantine.file_sha256 is 'sha256 of that file''s bytes';
comment on column main.quarantine.batch_id is 'ingest that read the file';

comment on macro table main.ledger_at is 'One row per conversation of any ledger whose rows are still held, with its verdict at one budget: what comes after the budget-th kept row is beyond_budget.
sample_id: conversation
rank: place in the order in which rows are visited [from 1]; NULL when it did not take part
verdict: what became of it [as in ledger, or beyond_budget]
reason: why, in words, where the verdict alone does not say; NULL elsewhere
evol_score: score that it was ordered by; NULL when some turn lacks a score
kept_position: place among the kept rows, those beyond the budget included [from 1]; NULL when it was not kept
blocked_by: kept row that resembles it most, of those kept before it; NULL for the first one and for rows that were not compared
similarity: cosine similarity to that row [-1 to 1]; NULL for the first one and for rows that were not compared
source: source that the conversation belongs to';

comment on macro table main.selection_diff is 'One row per row that either of two selection versions has, with what became of it from a to b.
sample_id: conversation
change: what happened to it [added, removed, moved or unchanged]
reason: why it came or went [docs/versions.md explains each]; NULL for rows that stayed, and where a ledger''s rows were let go and nothing else tells
position_a: place in a [from 1]; NULL when it is not in a
position_b: place in b [from 1]; NULL when it is not in b
blocked_by: row that blocks it in b, or blocked it in a; NULL when no near-duplicate is the reason';
