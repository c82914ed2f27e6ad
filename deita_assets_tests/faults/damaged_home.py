"""A curated home whose models cost nothing and count what they are asked, and ways to damage what it holds."""

from __future__ import annotations

import shutil
import struct
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import lancedb
import numpy as np
import pyarrow as pa
import pytest

from deita_assets.engines import subset_contents
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import make_ledger
from deita_assets.engines.verify import verify
from deita_assets.engines.verify_repair import Means, repair
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.cli.commands import chat
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import FakeEmbedder, Study

EMBEDDER = FakeEmbedder(16).fingerprint.digest
VECTORS, SCORES = f"embeddings_{EMBEDDER[:8]}", "scores"
#: Bytes of a block of DuckDB, after 12 KiB of headers.
_BLOCK, _HEADERS = 256 * 1024, 12 * 1024


class DamagedHome(Study):
    """A home that is audited and repaired; its models count what they are asked."""

    def __init__(self, home):
        super().__init__(Warehouse(home), Landing(home), embedder=FakeEmbedder(16))
        self.said = []

    def audit(self):
        return verify(self.warehouse)

    def repair(self, audit=None):
        """What could not be repaired; the models' calls are counted from here on."""
        self.asked()
        means = Means(self._run, lambda: publish(self.home), {"run_id": "repair"}, on_step=self.said.append)
        return repair(self.warehouse, audit or self.audit(), means)

    def asked(self):
        """Step -> texts that models were asked about since the last call."""
        models = {"complexity": self.complexity, "quality": self.quality, "embedding": self.embedder}
        counts = {step: sum(map(len, model.calls)) for step, model in models.items()}
        for model in models.values():
            model.calls = []
        return {step: n for step, n in counts.items() if n}

    def _run(self, source, assets):
        steps = {
            "complexity_scores": lambda: self.score(source, self.complexity),
            "quality_scores": lambda: self.score(source, self.quality),
            "embeddings": lambda: self.embed(source),
            "scored_pool": lambda: score_pool(self.warehouse, source, "sum"),
        }
        for asset in assets:
            steps[asset]()

    def query(self, text, *parameters):
        with self.warehouse.read("test") as con:
            return con.execute(text, list(parameters)).fetchall()

    def write(self, text, *parameters):
        with self.warehouse.write("damage") as con:
            con.execute(text, list(parameters))

    def table(self, name):
        return lancedb.connect(str(self.home.lance)).open_table(name)

    def rows(self, name):
        """key -> everything else of a table, checksums among it."""
        key = "score_key" if name == SCORES else "content_sha256"
        return {row.pop(key): row for row in self.table(name).search().to_arrow().to_pylist()}

    def vector(self, content):
        return np.array(self.rows(VECTORS)[content]["vector"], np.float16)

    @property
    def contents(self):
        return sorted(self.rows(VECTORS))

    @property
    def subset(self):
        """Folder of the only version."""
        ((directory,),) = self.query("select directory from store.selection")
        return self.home.root / directory

    @property
    def version(self):
        return self.subset.name


def made(folder, migrated):
    """Source `tea` of 30 rows in two files, scored file by file; mixture `all` at budget 5, published."""
    home = Home(folder / "home").create()
    shutil.copyfile(migrated, home.warehouse)
    study = DamagedHome(home)
    rows = [chat(f"question {n}", f"answer {n}") for n in range(30)]
    for name, part in (("a.jsonl", rows[:20]), ("b.jsonl", rows[20:])):
        study.ingest("tea", part, name)
        study.cover("tea")
    score_pool(study.warehouse, "tea", "sum")
    ledger = make_ledger(
        study.warehouse, Scope("mixture", "all", ("tea",)), SelectionParameters(0.9), budget=5
    )
    with without_figure():
        cut_subset(study.warehouse, ledger, 5, provenance={"run_id": "first"})
    publish(home)
    return home


@contextmanager
def without_figure():
    """Cards without their picture, which takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subset_contents, "card_figure", lambda _: b"figure")
        yield


def copied(template, folder):
    """The same home elsewhere, to be damaged."""
    home = Home(folder / "copy")
    shutil.copytree(template.root, home.root)
    return DamagedHome(home)


def flip(path, at, mask=0x5A):
    """One byte of a file, other than it was."""
    held = bytearray(path.read_bytes())
    held[at] ^= mask
    path.chmod(0o644)
    path.write_bytes(bytes(held))


def flip_in(folder, wanted, at=0, mask=0x5A):
    """One byte of the only place below a folder where these bytes stand."""
    found = [(path, path.read_bytes().find(wanted)) for path in folder.rglob("*") if path.is_file()]
    found = [(path, place) for path, place in found if place >= 0]
    assert len(found) == 1, f"{len(found)} places hold these bytes"
    flip(found[0][0], found[0][1] + at, mask)


def flip_vector(damaged, content):
    """One bit of a number of a stored vector, where it lies on the disk: it stays of length one, near enough."""
    flip_in(damaged.home.lance / f"{VECTORS}.lance" / "data", damaged.vector(content).tobytes(), mask=0x01)


def flip_score(damaged, key):
    """One bit of a stored score, where it lies on the disk: its 30th binary digit."""
    packed = struct.pack("<d", damaged.rows(SCORES)[key]["score"])
    flip_in(damaged.home.lance / "scores.lance" / "data", packed, at=2, mask=0x10)


def flip_key(damaged, name, key, mask):
    flip_in(damaged.home.lance / f"{name}.lance" / "data", key.encode(), at=5, mask=mask)


def data_files(damaged, name):
    return sorted((damaged.home.lance / f"{name}.lance" / "data").iterdir())


def newest_manifest(damaged, name):
    folder = damaged.home.lance / f"{name}.lance" / "_versions"
    return min(folder.glob("*.manifest"), key=lambda path: int(path.stem))


def double(damaged, name, key, **other):
    """Append a second row of a key, as no code of the platform does; `other` replaces values of it."""
    table = damaged.table(name)
    column = "score_key" if name == SCORES else "content_sha256"
    row = table.search().where(f"{column} = '{key}'").to_arrow()
    for field, value in other.items():
        row = row.set_column(row.schema.get_field_index(field), row.schema.field(field), pa.array([value]))
    table.add(row.cast(table.schema))


def without_checksums(damaged):
    """Tables as they were before there were checksums."""
    for name in (VECTORS, SCORES):
        damaged.table(name).drop_columns(["checksum"])


def flip_blocks(path, needle):
    """A byte of the block of a DuckDB file where some bytes stand."""
    at = path.read_bytes().find(needle)
    assert at > _HEADERS, "the text is compressed"
    flip(path, at)


def used_blocks(path):
    """Beginnings of the blocks of a DuckDB file that are in use."""
    with closing(duckdb.connect(str(path), read_only=True)) as con:
        rows = con.execute(
            "select distinct block_id from pragma_storage_info('store.conversation') where block_id >= 0"
        ).fetchall()
    return sorted(_HEADERS + block * _BLOCK for (block,) in rows)


def files_of(folder: Path):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
