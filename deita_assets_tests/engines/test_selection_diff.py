"""`selection_diff` against reasons worked out from a record of what was done to the pools, not from stored ledgers."""

import random
import shutil
from dataclasses import dataclass, field

import numpy as np
import pytest

from deita_assets.cli.diff import REASONS as IN_WORDS
from deita_assets.core.row_filters import FilterRules
from deita_assets.engines.select import PassOptions
from deita_assets.engines.selection_diff import changed_rows, selection_diff
from deita_assets.engines.takedown import take_down
from deita_assets.stores import selections
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.core.greedy_oracle import greedy_with_quotas
from deita_assets_tests.engines.fakes import FakeScorer
from deita_assets_tests.engines.scopes import Scoped

ANSWER = len("answer")
#: The contract: every reason, by change.
REASONS = {
    *(("removed", reason) for reason in (
        "out_of_scope", "withdrawn", "taken_down", "excluded", "contaminated", "unscored", "invalid", "over_quota",
        "near_duplicate", "rescored", "beyond_budget", "out_ranked",
    )),
    *(("added", reason) for reason in (
        "new_source", "new_row", "unblocked", "let_in", "rescored", "beyond_budget", "moved_up",
    )),
}  # fmt: skip


def registered(scoped, ledger, budget):
    """A version without its files, which a diff never reads."""
    with scoped.warehouse.write("test") as con:
        selection = selections.cut(con, ledger, budget)
        selections.register(con, selection, "nowhere", run_id="run", head=True)
    return selection.version


@dataclass(frozen=True)
class Rules:
    sources: tuple = ("s", "t")
    threshold: float = 0.8
    budget: int = 6
    longest: int | None = None
    cap: int | None = None


@dataclass(frozen=True)
class Made:
    """What was true of the pools when a version was made, and what a naive pass makes of it."""

    version: str
    rules: Rules
    standing: frozenset
    taken: frozenset
    scores: dict
    verdicts: dict = field(compare=False)
    members: list = field(compare=False)


class World:
    """Two sources whose rows arrive, leave, are scored anew or taken down; every version is recorded."""

    def __init__(self, scoped, seed):
        self.scoped, self.random = scoped, random.Random(seed)  # noqa: S311 - reproducible, not secret
        self.rows, self.taken, self.rules = {"s": {}, "t": {}}, set(), Rules()
        self.made, self.count, self.version = [], 0, 1
        for source in self.rows:
            self.arrive(source, 8)

    def arrive(self, source, n):
        for _ in range(n):
            self.count += 1
            angle = self.random.choice(range(12)) * 0.26 + self.random.random() * 0.05
            vector = [np.cos(angle), np.sin(angle), 0.1 * self.random.random(), 0, 0]
            if self.random.random() < 0.08:
                vector = [0.0] * 5
            score = None if self.random.random() < 0.1 else float(self.random.randint(1, 9))
            text = f"{source}{self.count}".ljust(self.random.randint(6, 30), ".")
            self.rows[source][text] = (score, vector)

    def leave(self, source, n):
        for text in self.random.sample(sorted(self.rows[source]), min(n, len(self.rows[source]) - 3)):
            del self.rows[source][text]

    def rescore(self, n):
        """Some rows get another score, which takes another scorer for all."""
        for rows in self.rows.values():
            for text in self.random.sample(sorted(rows), n):
                rows[text] = (float(self.random.randint(1, 9)), rows[text][1])
        self.version += 1
        self.scoped.complexity = FakeScorer(
            "complexity", table=self.scoped.scores, statuses={}, version=self.version
        )

    def take_down(self):
        source, contents = self.random.choice("st"), self.contents()
        known = sorted(set(self.rows[source]) & set(contents) - self.taken)  # others are not ingested yet
        text = self.random.choice(known)
        take_down(self.scoped.warehouse, [contents[text]], "asked for")
        self.taken.add(text)

    def contents(self):
        query = "select t.instruction, c.content_sha256 from store.conversation c join store.turn t using (sample_id)"
        return dict(self.scoped.query(query))

    def step(self):
        """One or two changes, then a version."""
        if self.made:
            for _ in range(self.random.randint(1, 2)):
                self.random.choice(self._changes())()
        for source, rows in self.rows.items():
            self.scoped.source(source, rows)
        self.made.append(self._make())

    def _changes(self):
        choose = self.random.choice
        source = choose("st")

        def rule(**changed):
            return lambda: setattr(self, "rules", Rules(**{**self.rules.__dict__, **changed}))

        return [
            lambda: self.arrive(source, 4), lambda: self.leave(source, 3), lambda: self.rescore(3), self.take_down,
            rule(threshold=choose([0.5, 0.9, 0.99])), rule(budget=choose([3, 6, 9])),
            rule(longest=choose([None, ANSWER + 15])), rule(cap=choose([None, 2])),
            rule(sources=choose([("s",), ("s", "t")])),
        ]  # fmt: skip

    def _make(self):
        rules = self.rules
        chosen = {"caps": {"s": rules.cap}} if rules.cap else {}
        if rules.longest:
            chosen["filters"] = FilterRules(max_chars=rules.longest)
        # However deep a ledger is, the diff of what was cut from it is the same.
        depth = self.random.choice([rules.budget, None])
        ledger = self.scoped.ledger(
            *rules.sources, kind="mixture", name="m", threshold=rules.threshold, budget=depth,
            options=PassOptions(keep_ledgers=99), **chosen,
        )  # fmt: skip
        version = registered(self.scoped, ledger, rules.budget)
        verdicts, members = self._naive()
        standing = frozenset(text for source in rules.sources for text in self.rows[source])
        scores = {text: row[0] for rows in self.rows.values() for text, row in rows.items()}
        return Made(version, rules, standing, frozenset(self.taken), scores, verdicts, members)

    def _naive(self):
        """{text: (verdict, text of the blocker)} of rows that are decided within the budget, and the kept texts."""
        rules, verdicts, able, contents = self.rules, {}, [], self.contents()
        for source in rules.sources:
            for text, (score, vector) in self.rows[source].items():
                if text in self.taken:
                    continue
                if rules.longest and len(text) + ANSWER > rules.longest:
                    verdicts[text] = ("excluded", None)
                elif score is None:
                    verdicts[text] = ("unscored", None)
                elif not any(vector):
                    verdicts[text] = ("invalid", None)
                else:
                    able.append((-score, contents[text], text, np.asarray(vector, np.float16), source))
        able.sort(key=lambda row: row[:2])
        kept, decided = greedy_with_quotas(
            [row[3] for row in able], range(len(able)), rules.threshold, rules.budget, 0,
            [int(row[4] == "s") for row in able], [10**9, rules.cap or 10**9], None, None,
        )  # fmt: skip
        for at, (verdict, neighbour, _) in decided.items():
            verdicts[able[at][2]] = (verdict, able[neighbour][2] if neighbour >= 0 else None)
        return verdicts, [able[at][2] for at in kept]


def other_reason(text, has, lacks):
    """Why `lacks` has not the row that `has` has, as (what removed it, what its return would be called, blocker)."""
    if text[0] not in lacks.rules.sources:
        return "out_of_scope", "new_source", None
    if text not in lacks.standing:
        return "withdrawn", "new_row", None
    if text in lacks.taken:
        return "taken_down", "new_row", None
    verdict, blocker = lacks.verdicts.get(text, (None, None))
    if verdict is not None:
        return verdict, "unblocked" if verdict == "near_duplicate" else "let_in", blocker
    if has.members.index(text) + 1 > lacks.rules.budget:
        return "beyond_budget", "beyond_budget", None
    if has.scores[text] != lacks.scores[text]:
        return "rescored", "rescored", None
    return "out_ranked", "moved_up", None


def expected_diff(a, b):
    """{text: (change, reason, position in a, position in b, blocker)}."""
    rows = {}
    for text in {*a.members, *b.members}:
        places = [m.members.index(text) + 1 if text in m.members else None for m in (a, b)]
        if None not in places:
            rows[text] = ("unchanged" if places[0] == places[1] else "moved", None, *places, None)
        elif places[1] is None:
            reason, _, blocker = other_reason(text, a, b)
            rows[text] = ("removed", reason, *places, blocker)
        else:
            _, reason, blocker = other_reason(text, b, a)
            rows[text] = ("added", reason, *places, blocker)
    return rows


def found_diff(con, names, a, b):
    """The same out of the macro; a blocker only where it is one of the reason."""
    rows = con.execute("from selection_diff(?, ?)", [a.version, b.version]).fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {names[row[0]]: (*row[1:5], names.get(row[5])) for row in rows}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory, migrated):
    def make():
        home = Home(tmp_path_factory.mktemp("diff")).create()
        shutil.copyfile(migrated, home.warehouse)
        return Scoped(Warehouse(home), Landing(home))

    return make


def assert_all_diffs(world):
    seen = set()
    with world.scoped.warehouse.read("test") as con:
        names = dict(con.execute("select sample_id, instruction from store.turn").fetchall())
        for a in world.made:
            for b in world.made:
                expected = expected_diff(a, b)
                assert found_diff(con, names, a, b) == expected, (a.rules, b.rules)
                seen |= {row[:2] for row in expected.values()}
    return seen


def seen_in(fresh, seed, steps=6):
    world = World(fresh(), seed)
    for _ in range(steps):
        world.step()
    return assert_all_diffs(world)


def test_every_reason_is_what_was_done(fresh):
    seen = seen_in(fresh, seed=3)
    assert {change for change, _ in seen} >= {"added", "removed", "unchanged"}
    assert len(seen) >= 12


def test_every_reason_is_told_in_words():
    assert set(IN_WORDS) == {reason for _, reason in REASONS}


@pytest.mark.slow
def test_every_reason_there_is_comes_up_and_is_what_was_done(fresh):
    seen = set().union(*(seen_in(fresh, seed) for seed in (2, 3, 4, 10, 11)))
    # In this world nothing is an exclusion set, and a row that had a vector keeps it.
    never = {("removed", "contaminated"), ("removed", "invalid")}
    assert {(change, reason) for change, reason in seen if reason} == REASONS - never


@pytest.fixture(scope="module")
def two(fresh):
    """A version before and one after a row left, a nearer one came, and the threshold fell."""
    scoped = fresh()
    east, north = [1, 0, 0, 0, 0], [0, 1, 0, 0, 0]
    near = [1, 0.1, 0, 0, 0]
    scoped.source("s", {"east": (5.0, east), "north": (4.0, north), "up": (3.0, [0, 0, 1, 0, 0])})
    a = registered(scoped, scoped.ledger("s"), 3)
    scoped.source("s", {"nearer": (9.0, near), "east": (5.0, east), "north": (4.0, north)})
    b = registered(scoped, scoped.ledger("s", threshold=0.8), 3)
    return scoped, a, b


def test_counts_by_reason_and_source_and_what_differs(two):
    scoped, a, b = two
    with scoped.warehouse.read("test") as con:
        found = selection_diff(con, a, b)
        same = selection_diff(con, a, a)
        rows = changed_rows(con, a, b, 10)
    assert found.changes == {"added": 1, "removed": 2, "moved": 0, "unchanged": 1}
    assert found.reasons == {
        ("added", "new_row"): 1, ("removed", "near_duplicate"): 1, ("removed", "withdrawn"): 1, ("unchanged", None): 1,
    }  # fmt: skip
    assert [(one.source, one.a, one.b, one.added, one.removed) for one in found.sources] == [
        ("s", 3, 2, 1, 2)
    ]
    assert [change.what for change in found.spec] == ["pool of s", "selector.threshold"]
    assert found.spec[0].text.endswith("(+1 -1 rows)")
    assert found.spec[1].text == "threshold: 0.9 -> 0.8"
    assert (found.same_members, found.pruned) == (False, ())
    assert same.same_members
    assert same.spec == ()
    told = {(row["instruction"], row["reason"], row["blocked_by_instruction"]) for row in rows}
    assert told == {
        ("nearer", "new_row", None), ("east", "near_duplicate", "nearer"), ("up", "withdrawn", None),
    }  # fmt: skip


def test_a_row_that_does_not_matter_leaves_the_members_the_same(two):
    scoped, _, b = two
    with scoped.warehouse.read("test") as con:
        before = [row[0] for row in con.execute("select instruction from store.turn").fetchall()]
    rows = {text: (scoped.scores[text], scoped.vectors[text]) for text in before if text != "up"}
    scoped.source("s", {**rows, "low": (0.5, [1, 0, 0, 0, 0])})
    c = registered(scoped, scoped.ledger("s", threshold=0.8), 3)
    with scoped.warehouse.read("test") as con:
        found = selection_diff(con, b, c)
    assert b != c
    assert found.same_members
    assert found.changes == {"added": 0, "removed": 0, "moved": 0, "unchanged": 2}
    assert [change.text[:9] for change in found.spec] == ["pool of s"]


def test_without_the_rows_of_a_ledger_pools_and_budgets_still_tell(fresh):
    scoped = fresh()
    angle = np.radians(25)
    vectors = [*np.eye(5)[:3], [np.cos(angle), np.sin(angle), 0, 0, 0]]
    scoped.source("s", {f"q{n}": (9.0 - n, vector) for n, vector in enumerate(vectors)})
    deep = scoped.ledger("s")
    a, small = (registered(scoped, deep, budget) for budget in (3, 1))
    wide = registered(scoped, scoped.ledger("s", threshold=0.95), 4)
    scoped.source("s", {f"q{n}": (9.0 - n, vectors[n]) for n in (1, 2)})
    ledger = scoped.ledger("s")
    b = registered(scoped, ledger, 3)
    with scoped.warehouse.write("let go") as con:
        con.execute("delete from store.ledger_row")
        con.execute("update store.ledger set pruned_at = now()")

    def reasons(x, y):
        query = "select t.instruction, change, reason from selection_diff(?, ?) d join store.turn t using (sample_id)"
        return {row for row in scoped.query(query, x, y) if row[1] in ("added", "removed")}

    assert reasons(a, b) == {("q0", "removed", "withdrawn")}
    assert reasons(b, a) == {("q0", "added", "new_row")}
    assert reasons(a, small) == {(f"q{n}", "removed", "beyond_budget") for n in (1, 2)}
    assert reasons(wide, a) == {("q3", "removed", None)}, "a near-duplicate or not: nobody knows any more"
    with scoped.warehouse.read("test") as con:
        assert selection_diff(con, a, b).pruned == (deep.ledger_id, ledger.ledger_id)
