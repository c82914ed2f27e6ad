"""A small home on its whole way, with models that cost nothing and write down what they are asked.

`Journey.go` is the ordinary command of these tests: whatever was killed or refused before, it ends in the same place.

What belongs here: that home, its way, and what stands in it. What does not: kills, faults, and readers (`watching`).
"""

from __future__ import annotations

import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import sleep
from typing import Any

import pyarrow as pa
import pytest

from deita_assets.core.fingerprint import sha256_hex
from deita_assets.engines import compact as upkeep
from deita_assets.engines import cover, subset_contents
from deita_assets.engines import select as selecting
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.export import export_version
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.landing import copy_into_landing
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.staging import prompt_sha256
from deita_assets.engines.takedown import take_down
from deita_assets.engines.withdrawal import move_out
from deita_assets.errors import DeitaError
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.serving import publish
from deita_assets.stores.subsets import check_folder
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.cli.commands import chat
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer, Study
from deita_assets_tests.faults.invariant import Look
from deita_assets_tests.readers.packing import jsonl

DIMENSION, BUDGET, THRESHOLD = 6, 5, 0.6
#: Rows of the sources as they stand at first, and of the file that comes in.
STANDING = {"s": range(12), "t": range(6)}
OLD, COMING = range(100, 102), range(20, 30)
_BATCH = 4
#: The steps of the way; `Journey.steps` has what each does.
STEPS = (
    "add", "withdraw", "take down", "ingest", "score", "embed", "scored pool", "select", "publish", "export", "compact",
)  # fmt: skip
#: Behind the last of them.
END = "end"


def row(source: str, n: int) -> dict[str, Any]:
    """A conversation that no other source has."""
    return chat(f"{source} asks {n}", f"the answer to {n} of {source}", id=f"{source}-{n}")


#: What comes in: ten rows, one that stands there already, one twice, one that cannot be read.
NEWCOMERS = [*(row("s", n) for n in COMING), row("s", 3), row("s", 20), {"messages": "none"}]
TAKEN = row("t", 2)


def asked_file(home: Home) -> Path:
    """Where models write down what they are asked: a line for each text, before anything is computed."""
    return home.root / "asked.log"


def _write_down(home: Home, lines: list[str]) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits[1], limits[1]))  # a full disk is for others
    handle = os.open(asked_file(home), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, "".join(f"{line}\n" for line in lines).encode())
    finally:
        os.close(handle)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


class AskedScorer(FakeScorer):
    def __init__(self, home: Home, measure: str, **options: Any) -> None:
        super().__init__(measure, **options)
        self.home = home

    def score_turns(self, turns):
        keys = [prompt_sha256(self.measure, *turn) for turn in turns]
        _write_down(self.home, [f"{self.measure} {self.fingerprint.digest[:8]} {key}" for key in keys])
        return super().score_turns(turns)


class AskedEmbedder(FakeEmbedder):
    def __init__(self, home: Home, dimension: int = DIMENSION, **options: Any) -> None:
        super().__init__(dimension, **options)
        self.home = home

    def embed(self, conversations):
        keys = [sha256_hex(conversation.canonical_json()) for conversation in conversations]
        _write_down(self.home, [f"embedding {self.fingerprint.digest[:8]} {key}" for key in keys])
        return super().embed(conversations)


def asked(home: Home) -> list[str]:
    """What models were asked so far, in order, as `step fingerprint key`."""
    with suppress(FileNotFoundError):
        return asked_file(home).read_text().splitlines()
    return []


def stored(home: Home) -> list[str]:
    """What stands in LanceDB, one line for each row, in the same words."""
    import lancedb

    connection = lancedb.connect(str(home.lance))
    found = []
    for folder in sorted(home.lance.glob("*.lance")):
        try:
            table = connection.open_table(folder.stem)
        except (ValueError, FileNotFoundError):  # killed before the table had its first edition
            continue
        rows: pa.Table = table.search().to_arrow()
        if folder.stem == "scores":
            columns = (rows[name].to_pylist() for name in ("measure", "scorer_fp", "prompt_sha256"))
            found += [f"{measure} {digest[:8]} {key}" for measure, digest, key in zip(*columns, strict=True)]
        else:
            digest = folder.stem.removeprefix("embeddings_")
            found += [f"embedding {digest} {key}" for key in rows["content_sha256"].to_pylist()]
    return found


class Journey(Study):
    """One home and its whole way."""

    def __init__(self, home: Home, deadline_s: float = 60.0) -> None:
        super().__init__(
            Warehouse(home, deadline_s=deadline_s), Landing(home), AskedScorer(home, "complexity"),
            AskedScorer(home, "quality"), AskedEmbedder(home),
        )  # fmt: skip

    @property
    def outside(self) -> Path:
        """Where exports go, and where files come from."""
        return self.home.root.parent

    def begin(self) -> Journey:
        """Two sources, curated, published and exported once; then what comes next lies ready."""
        for source, numbers in STANDING.items():
            self.land(source, "a.jsonl", [row(source, n) for n in numbers])
        self.land("s", "old.jsonl", [row("s", n) for n in OLD])
        for step in (self.ingests, self.scores, self.embeds, self.pools, self.selects, self.publishes):
            step()
        (self.outside / "come").mkdir(exist_ok=True)
        (self.outside / "come" / "new.jsonl").write_bytes(jsonl(NEWCOMERS))
        return self

    @property
    def steps(self) -> dict[str, Callable[[], None]]:
        """Every step of the way, in order; each may be begun again after it was cut off anywhere."""
        taken = [
            self.adds, self.withdraws, self.takes_down, self.ingests, self.scores, self.embeds, self.pools,
            self.selects, self.publishes, self.exports, self.compacts,
        ]  # fmt: skip
        return dict(zip(STEPS, taken, strict=True))

    def go(self) -> None:
        """All of it."""
        for step in self.steps.values():
            step()

    def adds(self) -> None:
        copy_into_landing(self.home, "s", [self.outside / "come" / "new.jsonl"])

    def withdraws(self) -> None:
        move_out(self.home, "s", ["old.jsonl"])

    def takes_down(self) -> None:
        take_down(self.warehouse, [content_of(TAKEN)], "asked")

    def ingests(self) -> None:
        for source in STANDING:
            ingest_source(self.warehouse, source, SourceReading(by_hand=frozenset({"old.jsonl"})))

    def scores(self) -> None:
        with small_batches():
            for source in STANDING:
                self.score(source, self.complexity)
                self.score(source, self.quality)

    def embeds(self) -> None:
        with small_batches():
            for source in STANDING:
                self.embed(source)

    def pools(self) -> None:
        for source in STANDING:
            score_pool(self.warehouse, source, "sum")

    def selects(self) -> None:
        scope, parameters = Scope("mixture", "all", tuple(STANDING)), SelectionParameters(THRESHOLD)
        ledger = selecting.make_ledger(self.warehouse, scope, parameters, budget=BUDGET)
        with without_figure():
            cut_subset(self.warehouse, ledger, BUDGET, provenance={"run_id": "run"})

    def publishes(self) -> None:
        publish(self.home)

    def exports(self) -> None:
        """Once: where another process is at it, or was first, its export will do."""
        folder = self.outside / "exports" / self.version
        while not folder.exists():
            try:
                export_version(self.subset, folder, form="parquet", columns=("sample_id",))
            except DeitaError as refused:
                if not re.search("being filled by another process|exists", refused.message):
                    raise
                sleep(0.05)

    def compacts(self) -> None:
        upkeep.compact_home(self.warehouse, keep_hours=1)

    @property
    def version(self) -> str:
        """The current version of mixture `all`."""
        return str(self.query("select selection_version from store.selection_head")[0][0])

    @property
    def subset(self) -> Path:
        return self.home.subset("mixture", "all", BUDGET, self.version)


@contextmanager
def small_batches() -> Iterator[None]:
    """Several commits of a few rows in each step, instead of one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cover, "_FIRST_BATCH", _BATCH)
        patch.setattr(cover, "_next_batch", lambda size, seconds: _BATCH)
        yield


@contextmanager
def without_figure() -> Iterator[None]:
    """Cards without their picture, which takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subset_contents, "card_figure", lambda _: b"figure")
        yield


def content_of(conversation: dict[str, Any]) -> str:
    """content_sha256 of a row, from the definition."""
    import json

    messages = {"messages": conversation["messages"]}
    return sha256_hex(json.dumps(messages, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


@dataclass(frozen=True)
class Standing:
    """Where a home has arrived: what must be the same after any kill as without one."""

    pools: dict[str, list[str]]
    accounts: dict[str, Any]
    version: str
    members: list[str]
    heads: list[tuple[Any, ...]]
    stored: list[str]
    exported: dict[str, bytes]
    served: list[tuple[Any, ...]]

    @classmethod
    def of(cls, journey: Journey) -> Standing:
        import duckdb

        with duckdb.connect(str(journey.home.serving), read_only=True) as con:
            served = con.execute("select source, count(*) from pool group by 1 order by 1").fetchall()
        export = journey.outside / "exports" / journey.version
        return cls(
            {source: pool_of(journey, source) for source in STANDING},
            Look.at(journey.home).accounts,
            journey.version,
            [name for (name,) in journey.query(
                "select sample_id from store.selection_member where selection_version = ? order by position",
                journey.version,
            )],
            journey.query("select scope_kind, scope, budget, selection_version from store.selection_head order by all"),
            sorted(stored(journey.home)),
            {str(path.relative_to(export)): path.read_bytes() for path in export.rglob("*") if path.is_file()},
            served,
        )  # fmt: skip


def after(step: str) -> str:
    """The step behind a step, or `END`."""
    return dict(zip(STEPS, (*STEPS[1:], END), strict=True))[step]


def arrived(journey: Journey) -> dict[str, Any]:
    """What stands after a step, without the bytes of the serving copy, in which free blocks hold anything."""
    look = Look.at(journey.home)
    return {
        "landing": sorted(str(path.relative_to(journey.home.landing)) for path in journey.home.landing.rglob("*")),
        "accounts": look.accounts, "pools": look.pools, "heads": look.heads, "stored": sorted(stored(journey.home)),
        "subsets": {name: sha for name, sha in look.published.items() if name.startswith("subsets/")},
        "exports": sorted(path.name for path in journey.outside.glob("exports/*/*")),
        "left": sorted(path.name for path in journey.home.root.glob(".*.part")),
    }  # fmt: skip


def pool_of(journey: Journey, source: str) -> list[str]:
    found = journey.query("select sample_id from pool where source = ? order by 1", source)
    return [name for (name,) in found]


def expected_pool(source: str) -> list[str]:
    """Ids of the rows that a source has in the end, from the definition."""
    rows = [row(source, n) for n in STANDING[source]]
    rows += [row("s", n) for n in COMING] if source == "s" else []
    contents = [content_of(one) for one in rows if one != TAKEN]
    return sorted(f"{source}:{content[:32]}" for content in contents)


def begun(folder: Path, migrated: Path) -> Home:
    """A home that `Journey.begin` left, below `folder`."""
    home = Home(folder / "home").create()
    shutil.copyfile(migrated, home.warehouse)
    Journey(home).begin()
    return home


def copied(template: Home, folder: Path) -> Journey:
    """The same elsewhere, files to come included; its folder appears at once, so that no reader sees half a copy."""
    fresh = folder.with_name(f".{folder.name}")
    shutil.copytree(template.root.parent, fresh)
    fresh.rename(folder)
    return Journey(Home(folder / template.root.name))


def begin(root: Path) -> None:
    """What comes before the way, for a process of its own."""
    Journey(Home(root).create()).begin()


def go(root: Path) -> None:
    """The whole way, for a process of its own."""
    Journey(Home(root)).go()


def unharmed(journey: Journey, before: Look) -> Look:
    """What holds at any moment: balanced accounts, whole published folders as they were, no key twice.

    Raises:
        AssertionError: something of it does not.
    """
    now = Look.at(journey.home)
    for source, account in now.accounts.items():
        assert account.balanced, (source, account)
    kept = {
        name: sha
        for name, sha in before.published.items()
        if name.startswith("subsets/") and "/." not in name
    }
    assert kept.items() <= now.published.items(), "a published folder was altered"
    for folder in journey.home.subsets.glob("*/*/*/[!.]*"):
        check_folder(folder)
    keys = stored(journey.home)
    assert len(keys) == len(set(keys)), "a key stands in LanceDB twice"
    return now


def take_step(root: Path, step: str) -> None:
    """One step, for a process of its own."""
    Journey(Home(root)).steps[step]()


class Asking:
    """Counts what models are asked, and refuses what is stored already."""

    def __init__(self, journey: Journey) -> None:
        self.home = journey.home
        self.had, self.n_asked = stored(self.home), len(asked(self.home))

    def since(self) -> tuple[int, int]:
        """(results that came into LanceDB, texts that models were asked about) since the last call."""
        now, questions = stored(self.home), asked(self.home)[self.n_asked :]
        assert not set(questions) & set(self.had), "computed again what stood there"
        assert len(set(questions)) == len(questions)
        assert set(self.had) <= set(now), "a result was lost"
        came = len(now) - len(self.had)
        self.had, self.n_asked = now, self.n_asked + len(questions)
        return came, len(questions)


def assert_clean(journey: Journey) -> None:
    """Nothing is left of what was cut off."""
    home = journey.home
    assert list(home.staging.iterdir()) == []
    assert list(home.subsets.glob("*/*/*/.*")) == []
    assert list(home.root.glob(".serving.duckdb.new-*")) == []
    assert [path.name for path in (journey.outside / "exports").iterdir() if path.name.startswith(".")] == []
    assert [path.name for path in home.landing.glob("*/.*")] == []


@dataclass
class World:
    """A home as it stands at the beginning of each step, made when it is asked for; copies of it are killed."""

    folder: Path
    starts: dict[str, Home]
    seen: dict[str, dict[str, Any]] = field(default_factory=dict)

    def at(self, step: str) -> Home:
        """A home that was taken to where `step` begins; behind the last one, to the end."""
        names = [*STEPS, END]
        if step not in self.starts:
            before = names[names.index(step) - 1]
            journey = copied(self.at(before), self.folder / step.replace(" ", "_"))
            journey.steps[before]()
            self.starts[step] = journey.home
        return self.starts[step]

    def arrived(self, step: str) -> dict[str, Any]:
        """What stands where `step` begins."""
        if step not in self.seen:
            self.seen[step] = arrived(Journey(self.at(step)))
        return self.seen[step]

    @cached_property
    def untouched(self) -> Standing:
        """Where a home arrives that nobody disturbed."""
        journey = Journey(self.at(END))
        standing = Standing.of(journey)
        assert {source: expected_pool(source) for source in STANDING} == standing.pools
        assert len(set(asked(journey.home))) == len(asked(journey.home)) == len(standing.stored)
        return standing

    @contextmanager
    def copy(self, step: str, folder: Path, name: str) -> Iterator[Journey]:
        """A home of one's own at the beginning of a step, `folder/name/home`, as long as the block lasts."""
        folder = folder / name
        yield copied(self.at(step), folder)
        folder.rename(folder.with_name(f".{name}"))  # at once, so that no reader sees half of it
        shutil.rmtree(folder.with_name(f".{name}"))
