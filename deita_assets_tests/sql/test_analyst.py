"""Every named question against what plain Python makes of the same rows, by its defaults and by other values."""

import math
import statistics
from collections import Counter, defaultdict

import pytest

from deita_assets.cli.questions import questions


def heads(pool, scope=None):
    return [v for v in pool.versions if v.is_head and scope in (None, v.scope)]


def ledger(pool, scope=None, verdict=None):
    return [r for r in pool.ledger if scope in (None, r.scope) and verdict in (None, r.verdict)]


def of_version(v):
    return v.scope_kind, v.scope, v.budget


def of_scope(r):
    return r.scope_kind, r.scope


def live_members(v):
    return [m for m in v.members if m.row.in_pool]


def selected_from(pool, v):
    """(row, is selected) of the rows of a version's scope that are in the pool now."""
    chosen = {m.row.sample_id for m in v.members}
    return [
        (r.row, r.row.sample_id in chosen)
        for r in pool.ledger
        if of_scope(r) == of_scope(v) and r.row.in_pool
    ]


def share(part, whole, digits=4):
    return round(part / whole, digits) if whole else None


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def correlation(pairs):
    return round(statistics.correlation(*zip(*pairs, strict=True)), 3) if len(pairs) > 1 else math.nan


def by_source(rows, source=None):
    grouped = defaultdict(list)
    for row in rows:
        if source in (None, row.source):
            grouped[row.source].append(row)
    return sorted(grouped.items())


def acceptance_by_source(pool, scope=None):
    size = Counter(row.source for row in pool.live)
    return [
        (*of_version(v), source, count, size[source], share(count, size[source]))
        for v in heads(pool, scope)
        for source, count in Counter(m.row.source for m in v.members).items()
    ]


def best_dropped(pool, scope=None, rows=20):
    found = []
    for kind_scope in {of_scope(r) for r in ledger(pool, scope)}:
        dropped = [r for r in ledger(pool, None, "near_duplicate") if of_scope(r) == kind_scope]
        found += [
            (
                *kind_scope,
                r.rank,
                r.row.evol_score,
                r.similarity,
                r.row.sample_id,
                r.blocked_by,
                f"ask {r.row.line} 0",
            )
            for r in sorted(dropped, key=lambda r: r.rank)[:rows]
        ]
    return found


def blocking_matrix(pool, scope=None):
    groups = defaultdict(list)
    for r in ledger(pool, scope, "near_duplicate"):
        groups[(*of_scope(r), r.row.source, r.blocked_by.split(":")[0])].append(r.similarity)
    return [(*key, len(found), round(statistics.median(found), 4)) for key, found in groups.items()]


def duplicates_across_sources(pool, rows=50):
    contents = defaultdict(list)
    for row in pool.live:
        contents[row.sample_id.partition(":")[2]].append(row.source)
    found = [(content, sorted(s), len(s)) for content, s in contents.items() if len(s) > 1]
    return sorted(found, key=lambda row: (-row[2], row[0]))[:rows]


def exclusions_by_reason(pool, scope=None):
    out = ("excluded", "contaminated", "unscored", "invalid")
    counted = Counter(
        (*of_scope(r), r.row.source, r.verdict, r.reason.split(": ")[0])
        for r in ledger(pool, scope) if r.verdict in out
    )  # fmt: skip
    return [(*key, count) for key, count in counted.items()]


def language_mix(pool, scope=None):
    found = []
    for v in heads(pool, scope):
        mixed = selected_from(pool, v)
        taken = sum(chosen for _, chosen in mixed)
        for language in {row.language for row, _ in mixed}:
            here = [chosen for row, chosen in mixed if row.language == language]
            found.append(
                (*of_version(v), language or "no label", len(here), sum(here), share(len(here), len(mixed)),
                 share(sum(here), taken))
            )  # fmt: skip
    return found


def licence_mix(pool, scope=None):
    from deita_assets_tests.sql.small_pool import LICENCES

    found = []
    for v in heads(pool, scope):
        for licence in {LICENCES[m.row.source] for m in v.members}:
            under = [m.row.source for m in v.members if LICENCES[m.row.source] == licence]
            found.append(
                (
                    *of_version(v),
                    licence or "unknown",
                    len(under),
                    share(len(under), len(v.members)),
                    sorted(set(under)),
                )
            )
    return found


def longest_selected(pool, scope=None, rows=20):
    found = []
    for v in heads(pool, scope):
        longest = sorted(live_members(v), key=lambda m: (-m.row.n_chars, m.row.sample_id))[:rows]
        found += [
            (*of_version(v), m.kept_position, m.row.n_chars, m.row.n_turns, m.row.sample_id, f"{m.row.source}.jsonl",
             m.row.line) for m in longest
        ]  # fmt: skip
    return found


def lowest_selected(pool, scope=None):
    found = []
    for v in heads(pool, scope):
        chosen = {m.row.sample_id for m in v.members}
        for source in {r.row.source for r in pool.ledgers[v.ledger_id]}:
            here = [r for r in pool.ledgers[v.ledger_id] if r.row.source == source]
            taken = [r.row.evol_score for r in here if r.row.sample_id in chosen]
            left = [
                r.row.evol_score for r in here
                if r.row.sample_id not in chosen and r.verdict in ("kept", "unvisited")
            ]  # fmt: skip
            found.append(
                (*of_version(v), source, len(taken), min(taken, default=None), max(left, default=None))
            )
    return found


def measures_agree(pool, source=None, high=4, low=2):
    found = []
    for name, rows in by_source(pool.live, source):
        pairs = [(c, q) for row in rows for c, q, _, _ in row.turns if c is not None and q is not None]
        found.append(
            (name, len(pairs), correlation(pairs), sum(c >= high and q <= low for c, q in pairs),
             sum(c <= low and q >= high for c, q in pairs))
        )  # fmt: skip
    return found


def near_misses(pool, scope=None, rows=20):
    found = sorted(
        ledger(pool, scope, "near_duplicate"),
        key=lambda r: (r.similarity, r.row.sample_id, r.scope_kind, r.scope),
    )
    return [
        (*of_scope(r), r.row.sample_id, r.similarity, 0.6, r.blocked_by, r.row.evol_score)
        for r in found[:rows]
    ]


def next_rows(pool, scope=None, more=500):
    found = []
    for v in heads(pool, scope):
        added = defaultdict(list)
        for r in pool.ledgers[v.ledger_id]:
            if r.kept_position and v.budget < r.kept_position <= v.budget + more:
                added[r.row.source].append(r.row.evol_score)
        found += [
            (*of_version(v), v.budget + more, source, len(scores), max(scores), min(scores))
            for source, scores in added.items()
        ]
    return found


def overlap(pool, scope=None, budget=None):
    found = []
    chosen = sorted((v for v in heads(pool) if budget in (None, v.budget)), key=of_version)
    for at, a in enumerate(chosen):
        for b in chosen[at + 1 :]:
            shared = {m.row.sample_id for m in a.members} & {m.row.sample_id for m in b.members}
            if shared and scope in (None, a.scope, b.scope):
                smaller = min(len(a.members), len(b.members))
                found.append((a.scope, a.budget, b.scope, b.budget, len(shared), share(len(shared), smaller)))
    return found


def quarantine_by_reason(pool, source=None):
    groups = defaultdict(list)
    for name, file, line, reason in pool.quarantine:
        if source in (None, name):
            groups[name, reason].append((file, line))
    return [(*key, len(places), "{}:{}".format(*min(places))) for key, places in groups.items()]


def score_and_length(pool, source=None):
    scored = [row for row in pool.live if row.evol_score is not None]
    return [
        (name, len(rows), correlation([(r.evol_score, r.n_chars) for r in rows]),
         correlation([(r.evol_score, r.n_turns) for r in rows]))
        for name, rows in by_source(scored, source)
    ]  # fmt: skip


def quantile(values, at):
    values = sorted(values)
    place = at * (len(values) - 1)
    below = math.floor(place)
    return values[below] + (place - below) * (values[min(below + 1, len(values) - 1)] - values[below])


def score_spread(pool, source=None):
    found = []
    for name, rows in by_source(pool.live, source):
        scores = [r.evol_score for r in rows if r.evol_score is not None]
        means = [[r.mean(at) for r in rows if r.mean(at) is not None] for at in (0, 1)]
        found.append(
            (name, len(scores), min(scores), *(round(quantile(scores, at), 4) for at in (0.1, 0.5, 0.9)), max(scores),
             *(round(statistics.median(one), 4) for one in means))
        )  # fmt: skip
    return found


def similarity_spread(pool, scope=None, step=0.05):
    groups = defaultdict(Counter)
    for r in ledger(pool, scope):
        if r.verdict in ("kept", "near_duplicate") and r.similarity is not None:
            groups[(*of_scope(r), round(math.floor(r.similarity / step) * step, 6))][r.verdict] += 1
    return [(*key, found["kept"], found["near_duplicate"]) for key, found in groups.items()]


def system_and_tools(pool, scope=None):
    found = []
    for v in heads(pool, scope):
        mixed = selected_from(pool, v)
        chosen = [row for row, is_selected in mixed if is_selected]
        found.append(
            (*of_version(v), share(sum(r.has_system for r in chosen), len(chosen)),
             share(sum(r.has_system for r, _ in mixed), len(mixed)),
             share(sum(r.has_tools for r in chosen), len(chosen)),
             share(sum(r.has_tools for r, _ in mixed), len(mixed)))
        )  # fmt: skip
    return found


def turns_selected(pool, scope=None):
    found = []
    for v in heads(pool, scope):
        mixed = selected_from(pool, v)
        chosen, everything = mean(r.n_turns for r, s in mixed if s), mean(r.n_turns for r, _ in mixed)
        found.append((*of_version(v), round(chosen, 3), round(everything, 3), round(chosen / everything, 3)))
    return found


def unscored_turns(pool, source=None, status=None):
    groups = defaultdict(list)
    for row in pool.live:
        for _, _, *statuses in row.turns:
            for measure, one in zip(("complexity", "quality"), statuses, strict=True):
                if source in (None, row.source) and (one == status if status else one != "ok"):
                    groups[row.source, measure, one].append(row.sample_id)
    return [(*key, len(ids), len(set(ids)), min(ids)) for key, ids in groups.items()]


def verdicts_by_source(pool, scope=None, budget=None):
    groups = defaultdict(list)
    for r in ledger(pool, scope):
        groups[(*of_scope(r), r.row.source)].append(r)
    found = []
    for key, rows in groups.items():
        count = Counter(r.verdict for r in rows)
        behind = sum(1 for r in rows if budget is not None and (r.kept_position or 0) > budget)
        found.append(
            (*key, len(rows), count["kept"] - behind, behind, count["near_duplicate"], count["unvisited"],
             count["over_quota"], count["excluded"], count["contaminated"], count["unscored"] + count["invalid"])
        )  # fmt: skip
    return found


def version_drift(pool, scope=None, budget=None):
    found = []
    for v in pool.versions:
        if scope not in (None, v.scope) or budget not in (None, v.budget):
            continue
        live = [m.row for m in live_members(v)]
        scores = [m.row.evol_score for m in v.members]
        found.append(
            (*of_version(v), v.created_at, v.name, v.is_head, v.trial, len(v.members), round(mean(scores), 3),
             min(scores),
             round(mean(r.n_chars for r in live), 1), round(mean(r.n_turns for r in live), 3),
             len({m.row.source for m in v.members}), len(v.members) - len(live))
        )  # fmt: skip
    return found


def weakest_turns(pool, scope=None, below=2, rows=20):
    found = [
        (*of_version(v), m.kept_position, m.row.sample_id, at, turn[1], f"ask {m.row.line} {at}")
        for v in heads(pool, scope)
        for m in live_members(v) if m.row.n_turns > 1
        for at, turn in enumerate(m.row.turns) if turn[1] is not None and turn[1] < below
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row[6], row[4], row[5], *row[:3]))[:rows]


def who_blocks_most(pool, scope=None, rows=20):
    lines = {row.sample_id: (row.line, row.in_pool) for row in pool.rows}
    counted = Counter((*of_scope(r), r.blocked_by) for r in ledger(pool, scope, "near_duplicate"))
    found = [
        (*key, count, f"ask {lines[key[2]][0]} 0" if lines[key[2]][1] else None)
        for key, count in counted.items()
    ]
    return sorted(found, key=lambda row: (-row[3], row[2], *row[:2]))[:rows]


def changes_by_reason(pool, a, b):
    """What came and went, and from where; the reasons are the macro's (test_public_sql)."""
    was, now = ({m.row.sample_id: m.kept_position for m in v.members} for v in (a, b))
    kinds = Counter()
    for sample_id in was.keys() | now.keys():
        change = (
            "added" if sample_id not in was
            else "removed" if sample_id not in now
            else "unchanged" if was[sample_id] == now[sample_id]
            else "moved"
        )  # fmt: skip
        kinds[change, sample_id.split(":")[0]] += 1
    return kinds


SCOPES = ("scope=forum",)
#: Values other than the defaults, as typed; every declared parameter is among them.
OTHERS = {
    "acceptance_by_source": SCOPES,
    "best_dropped": ("scope=all", "rows=3"),
    "blocking_matrix": SCOPES,
    "duplicates_across_sources": ("rows=2",),
    "exclusions_by_reason": SCOPES,
    "language_mix": SCOPES,
    "licence_mix": ("scope=all",),
    "longest_selected": ("scope=all", "rows=4"),
    "lowest_selected": SCOPES,
    "measures_agree": ("source=manuals", "high=3.5", "low=3"),
    "near_misses": ("scope=all", "rows=4"),
    "next_rows": ("scope=all", "more=5"),
    "overlap": ("scope=essays", "budget=15"),
    "quarantine_by_reason": ("source=essays",),
    "score_and_length": ("source=forum",),
    "score_spread": ("source=forum",),
    "similarity_spread": ("scope=all", "step=0.25"),
    "system_and_tools": ("scope=essays",),
    "turns_selected": ("scope=essays",),
    "unscored_turns": ("source=forum", "status=truncated"),
    "verdicts_by_source": ("scope=all", "budget=6"),
    "version_drift": ("scope=forum", "budget=6"),
    "weakest_turns": ("scope=all", "below=3", "rows=2"),
    "who_blocks_most": ("scope=all", "rows=3"),
}
KINDS = {one.name: {p.name: p.kind for p in one.parameters} for one in questions()}


#: Those whose oracle above tells the order too.
IN_ORDER = {"duplicates_across_sources", "near_misses", "weakest_turns", "who_blocks_most"}


def rounded(name, rows):
    """Rows that can be compared: floats to nine digits, NaN equal to itself."""
    rows = [
        tuple("nan" if v != v else round(v, 9) if isinstance(v, float) else v for v in row) for row in rows
    ]
    return rows if name in IN_ORDER else sorted(rows, key=repr)


def typed(name, given):
    kinds, cast = KINDS[name], {"count": int, "number": float}
    pairs = (one.split("=") for one in given)
    return {key: cast.get(kinds[key], str)(value) for key, value in pairs}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("with_values", [False, True], ids=["defaults", "values"])
def test_questions(ask, pool, name, with_values):
    given = OTHERS[name] if with_values else ()
    found = ask(name, *given)
    expected = globals()[name](pool, **typed(name, given))
    assert expected
    assert rounded(name, found) == rounded(name, expected)


@pytest.mark.parametrize(
    "given", [(), ("a=v1mixture6",), ("b=v2mixture6",), ("a=v2forum15", "b=v1forum15")], ids=str
)
def test_changes_from_one_version_to_another(ask, pool, given):
    versions = {v.name.rstrip("0"): v for v in pool.versions}
    pair = (
        {
            (): ("v1forum15", "v2forum15"),  # the newest with an earlier one
            ("a=v1mixture6",): ("v1mixture6", "v2mixture6"),
            ("b=v2mixture6",): ("v1mixture6", "v2mixture6"),
        }.get(given)
        or [one[2:] for one in given]
    )
    found = Counter()
    for change, _, source, rows in ask("changes_by_reason", *given):
        found[change, source] += rows
    assert found == changes_by_reason(pool, *(versions[name] for name in pair))


def test_each_question_is_tested_with_each_of_its_parameters():
    assert set(OTHERS) | {"changes_by_reason"} == set(KINDS)
    for name, given in OTHERS.items():
        assert {one.split("=")[0] for one in given} == set(KINDS[name]), name


def test_there_are_enough_of_them_and_each_asks():
    assert len(KINDS) >= 15
    for one in questions():
        assert one.question.endswith(("?", ".", "?)", ".)")), one.name
        assert "store." not in one.query, one.name
