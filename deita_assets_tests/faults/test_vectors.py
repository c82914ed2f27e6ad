"""Embedders that give no vector, vectors that no store may hold, and the search that selection does without."""

from __future__ import annotations

import json

import lancedb
import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file, save_file

from deita_assets import repr_filter
from deita_assets.embedders.causal_lm import CausalLMEmbedder
from deita_assets.engines import cover as engine
from deita_assets.engines.checks.embeddings import check_embeddings
from deita_assets.engines.compact import compact_home
from deita_assets.errors import EmbedderError, StoreError
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable
from deita_assets_tests.engines.fakes import FakeEmbedder
from deita_assets_tests.faults.input_home import published_home
from deita_assets_tests.faults.invariant import CANARY
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.faults.model_home import Case, ModelHome, copied
from deita_assets_tests.scorers.tiny_models import save_llama, save_tokenizer

GROUP = "vectors"
QUESTIONS = ("sound", "other", "bad", "third")
AXES = {f"{CANARY} {question}": np.eye(4)[at] for at, question in enumerate(QUESTIONS)}


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """Source `t` of four rows beside the published subset."""
    home = published_home(tmp_path_factory.mktemp("vectors"), tmp_path_factory, migrated).home
    ModelHome(home).rows(*QUESTIONS)
    return home


@pytest.fixture
def at(template, tmp_path, monkeypatch):
    home = ModelHome(copied(template, tmp_path))
    home.folder, home.patch = tmp_path, monkeypatch
    return home


def giving(vector, version=7):
    """An embedder of axes whose vector for `bad` is another one."""
    return FakeEmbedder(4, {**AXES, f"{CANARY} bad": np.asarray(vector, np.float32)}, version)


# 44, 45, 46


def no_direction(vector):
    """One row without a direction: counted, not stored, never selected; the rest of its batch goes on."""

    def do(at):
        at.patch.setattr(engine, "_FIRST_BATCH", len(QUESTIONS))
        embedder = giving(vector)
        covered = at.embed("t", embedder)
        assert covered.statuses == {"ok": 3, "non_finite": 1}
        ledger = at.select(embedder=embedder)
        verdicts = at.verdicts(ledger)
        assert verdicts.pop("bad") == ("invalid", "no_embedding")
        assert set(verdicts.values()) == {("kept", None)} and len(at.vectors(embedder)) == 3
        told = [each for each in check_embeddings(at.warehouse, "t") if not each.passed]
        at.said += [each.words for each in told]
        assert [each.check for each in told] == ["missing_vectors"]
        return "1 row `invalid` (no_embedding), the 3 others of its batch stored and kept; `missing_vectors` warns"

    return do


def broken_weights(at):
    """A packaged embedder does not go on: weights that give no number to one row give none to any."""
    folder = save_tokenizer(save_llama(at.folder / "model"))
    held = load_file(folder / "model.safetensors")
    held["model.norm.weight"].fill_(float("nan"))
    save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
    embedder = CausalLMEmbedder(folder)
    seen = at.fails(lambda: at.embed("t", embedder), "row 0: found a vector of length nan", EmbedderError)
    assert at.vectors(embedder) == set() and len(at.attempts()) == 1
    return f"{seen}; nothing stored, the attempt is kept"


def repr_filter_refuses(at):
    tried = 0
    for bad in (np.nan, np.inf, -np.inf, 0.0):
        for dtype in (np.float16, np.float32, np.float64):
            vectors = np.eye(4, dtype=dtype)
            vectors[2] = bad
            at.fails(lambda v=vectors: repr_filter(v, [4, 3, 2, 1], threshold=0.9),
                     "row 2: embedding is zero or not finite", ValueError)  # fmt: skip
            ledger = repr_filter(vectors, [4, 3, 2, 1], threshold=0.9, invalid="mark")
            assert ledger.verdict.tolist() == ["kept", "kept", "invalid", "kept"]
            tried += 1
    return (
        "ValueError: row 2: embedding is zero or not finite; with invalid='mark' the row is `invalid`",
        tried,
    )


def forcing(at, vector):
    """What puts a vector into the store past the engine, for a row that has none."""
    embedder = giving(np.zeros(4))
    at.select(embedder=embedder)
    ((content,),) = at.query(
        "select c.content_sha256 from store.conversation c join store.turn t on t.sample_id = c.sample_id "
        "where t.instruction = ?", f"{CANARY} bad",
    )  # fmt: skip
    table = EmbeddingTable(at.home, embedder.fingerprint.digest)
    return lambda: table.insert([content], np.array([vector]))


def stored_nan(at):
    seen = at.fails(forcing(at, [np.nan, 1, 0, 0]), "Vector column 'vector' has NaNs", RuntimeError)
    at.said.clear()  # what Lance says on its way through Arrow ends in a traceback; no run gets as far
    assert len(at.vectors(giving(np.zeros(4)))) == 3
    return f"{seen}: Lance refuses the row"


def stored_without_direction(vector):
    """As no embedder writes it: the pass that needs the row stops, and names it."""

    def do(at):
        forcing(at, vector)()
        return at.fails(lambda: at.ledger("t", threshold=0.5), r"1 vectors of \w+ are zero or not finite", StoreError,
                        "1 vectors are zero or not finite, the content is named")  # fmt: skip

    return do


# 47


def other_shape(change):
    def do(at):
        at.patch.setattr(engine, "_FIRST_BATCH", len(QUESTIONS))
        embedder = FakeEmbedder(4, AXES, 7)
        embed = FakeEmbedder.embed
        at.patch.setattr(FakeEmbedder, "embed", lambda self, talks: change(embed(self, talks)))
        seen = at.fails(lambda: at.embed("t", embedder), r"shape \(.*\) for 4 conversations, expected \(4, 4\)",
                        EmbedderError)  # fmt: skip
        assert at.vectors(embedder) == set()
        return f"{seen}; nothing stored"

    return do


def same_name_other_dimension(at):
    at.embed("t", FakeEmbedder(4, version=7))
    return at.fails(
        lambda: at.embed("t", FakeEmbedder(6, version=7)),
        r"holds vectors of 4 numbers, the embedder gives 6", StoreError,
    )  # fmt: skip


def new_dimension(at):
    """A model of another width is another embedder: its vectors stand in a table of their own."""
    old, new = FakeEmbedder(4, version=7), FakeEmbedder(6, version=8)
    first = at.select(embedder=old)
    held = at.vectors(old)
    second = at.select(embedder=new)
    assert at.vectors(old) == held == at.vectors(new) and first.ledger_id != second.ledger_id
    return f"{len(held)} vectors of 4 numbers stay, {len(held)} of 6 beside them; another ledger"


def changed_folder(at):
    folder = save_tokenizer(save_llama(at.folder / "model"))
    before = CausalLMEmbedder(folder).fingerprint.digest
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    embedder = CausalLMEmbedder(folder)
    assert embedder.fingerprint.digest != before and embedder.dimension == 32
    return at.fails(
        embedder.load, r"embed_tokens.weight is of shape \[420, 64\], config.json expects \[420, 32\]"
    )


# 48


def null(column):
    """Lance itself refuses, because the columns were declared so when the table was made."""

    def do(at):
        embedder = FakeEmbedder(4, AXES, 7)
        at.embed("t", embedder)
        ScoreTable(at.home)
        name = (
            "scores" if column in ("score_key", "status") else f"embeddings_{embedder.fingerprint.digest[:8]}"
        )
        table = lancedb.connect(str(at.home.lance)).open_table(name)
        before = table.count_rows()
        key = "score_key" if name == "scores" else "content_sha256"
        rows = replaced(
            table.search().limit(1).to_arrow().select(table.schema.names), key, pa.array(["f" * 64])
        )
        rows = replaced(rows, column, pa.nulls(1, rows.schema.field(column).type))
        for insert in (
            table.add,
            lambda new: table.merge_insert(key).when_not_matched_insert_all().execute(new),
        ):
            with pytest.raises((RuntimeError, ValueError, OSError)) as caught:
                insert(rows)
            assert "null" in str(caught.value).lower()
        assert table.count_rows() == before and not table.schema.field(column).nullable
        return f"Lance refuses the row, by both ways of inserting: `{column}` is not nullable"

    return do


def replaced(rows, column, values):
    """Another column in the place of one, whatever the schema of the table says of it."""
    return rows.set_column(rows.schema.get_field_index(column), pa.field(column, values.type), values)


# 51


def no_index(at):
    """After everything that is done to a home, no table has an index that a search could go by."""
    at.select()
    compact_home(at.warehouse)
    connection = lancedb.connect(str(at.home.lance))
    names = [path.stem for path in at.home.lance.glob("*.lance")]
    indices = {name: connection.open_table(name).list_indices() for name in names}
    assert len(indices) >= 2 and not any(indices.values())
    return f"no index on any of {len(indices)} tables"


def brute_force(vectors, order, threshold):
    """Each row against every kept one, by the definition; exact, as float16 products add up exactly in float64."""
    wide = vectors.astype(np.float64)
    squares = (wide * wide).sum(axis=1)
    kept, found = [], {}
    for row in order:
        if kept:
            near = wide[kept] @ wide[row] / np.sqrt(squares[kept] * squares[row])
            best = int(np.argmax(near))
            found[row] = (kept[best], min(1.0, float(near[best])))
        if not kept or found[row][1] <= threshold:
            kept.append(row)
    return kept, found


def oracle(n):
    """Stored vectors in n / 7 clusters, through the engine: rows, neighbours and similarities."""

    def do(at):
        rng = np.random.default_rng(3)
        vectors = rng.standard_normal((n // 7, 24))[rng.integers(0, n // 7, n)] + 0.25 * rng.standard_normal(
            (n, 24)
        )
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
        at.rows(*map(str, range(n)))
        embedder = FakeEmbedder(24, {f"{CANARY} {row}": vectors[row] for row in range(n)}, 9)
        ledger = at.select(embedder=embedder, threshold=0.9)
        stored = at.query(
            "select t.instruction, l.verdict, l.kept_position, b.instruction, l.similarity from store.ledger_row l "
            "join store.turn t on t.sample_id = l.sample_id left join store.turn b on b.sample_id = l.blocked_by "
            "where l.ledger_id = ? order by l.rank", ledger.ledger_id,
        )  # fmt: skip
        numbers = [number(row[0]) for row in stored]
        kept, found = brute_force(vectors, numbers, 0.9)
        position = {row: place for place, row in enumerate(kept, 1)}
        for row, (_, verdict, place, nearest, similarity) in zip(numbers, stored, strict=True):
            assert (verdict == "kept", place) == (row in position, position.get(row))
            assert (nearest and number(nearest), similarity) == found.get(row, (None, None))
        assert len(stored) == n and n / 10 < len(kept) < 0.95 * n
        return f"every verdict, neighbour and similarity of {n:,} rows, {len(kept):,} of them kept"

    return do


def number(text):
    return int(text.rpartition(" ")[2])


def case(number, what, how, outcome, do, **marks):
    return Case(Fault(number, what, how, outcome), do, **marks)


WIDTH, INDEX = "vectors of another dimension", "neighbours that an approximate index misses"
CASES = [
    case("44", "a vector of NaN", "one of four numbers, one row of four", "marked", no_direction([np.nan, 1, 0, 0])),
    case("44", "a vector of NaN", "weights of NaN, causal_lm embedder", "error", broken_weights),
    case("44", "a vector of NaN", "stored past the engine", "refused", stored_nan),
    case("45", "an infinite vector", "one of four numbers, one row of four", "marked", no_direction([np.inf, 1, 0, 0])),
    case("45", "an infinite vector", "beyond what float16 holds", "marked", no_direction([1e6, 1, 0, 0])),
    case("45", "an infinite vector", "stored past the engine", "error", stored_without_direction([np.inf, 1, 0, 0])),
    case("46", "a vector of zeros", "one row of four", "marked", no_direction([0, 0, 0, 0])),
    case("46", "a vector of zeros", "below what float16 holds", "marked", no_direction([1e-9, 0, 0, 0])),
    case("46", "a vector of zeros", "stored past the engine", "error", stored_without_direction([0, 0, 0, 0])),
    case("46", "a vector of zeros", "zeros, NaN and infinities handed to `repr_filter`", "error", repr_filter_refuses),
    case("47", WIDTH, "one number too many", "error", other_shape(lambda vectors: np.pad(vectors, ((0, 0), (0, 1))))),
    case("47", WIDTH, "one number too few", "error", other_shape(lambda vectors: vectors[:, 1:])),
    case("47", WIDTH, "the same embedder by name, another dimension", "error", same_name_other_dimension),
    case("47", WIDTH, "another embedder", "as usual", new_dimension),
    case("47", WIDTH, "config.json of another width than the weights", "error", changed_folder),
    case("48", "NULL for a vector", "written past the engine", "refused", null("vector")),
    case("48", "NULL for a key", "written past the engine", "refused", null("content_sha256")),
    case("48", "NULL for a status", "written past the engine", "refused", null("status")),
    case("51", INDEX, "all tables, after all that writes them", "impossible", no_index),
    case("51", INDEX, "500 rows against brute force", "impossible", oracle(500)),
    case("51", INDEX, "5,000 rows against brute force", "impossible", oracle(5_000), slow=True),
]  # fmt: skip


@pytest.mark.parametrize("case", [case.param for case in CASES])
def test_vectors(case, at, witness, caplog, capsys):
    seen = at.run(case, caplog, capsys)
    witness(case.fault, *((seen,) if isinstance(seen, str) else seen))
