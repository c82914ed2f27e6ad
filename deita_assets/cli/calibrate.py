"""`deita-assets calibrate`: what other thresholds would keep of a scope, and which one its pairs speak for.

What belongs here: the command and how its result is told. What does not: calibrating.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from deita_assets.cli.session import Session, one_line, with_session
from deita_assets.core.calibration import Calibration, Pair, side_by_side

#: Widest bar of the curve, and characters shown of each row of a pair.
_BAR, _SHOWN = 40, 150


@click.command("calibrate")
@click.argument("scope")
@click.option("--rows", type=click.IntRange(min=2), help="Rows to compare, best first [default: 20,000].")
@with_session
def command(session: Session, scope: str, rows: int | None) -> None:
    """Rows of SCOPE (a source or mixture) kept at each threshold, the pairs near its own, and a recommendation."""
    from deita_assets.cli.curate import make_plan, run_plan
    from deita_assets.engines.calibrate import ROWS, pair_texts, stored_calibration

    kind = "mixture" if scope in session.settings.mixture_names else "source"
    plan = make_plan(session, (scope,) * (kind == "source"), (scope,) * (kind == "mixture"), ("1",))
    run_plan(session, plan, trial=True)  # what a trial reads; its budget is never published
    calibration_id = session.curation.calibration(kind, scope, rows or ROWS)
    warehouse = session.platform.warehouse
    done = stored_calibration(warehouse, calibration_id)
    texts = pair_texts(warehouse, done)
    _print(session, done, texts)
    session.emit({**done.values(), "dropped_share": done.dropped_share, "texts": texts})


def _print(session: Session, done: Calibration, texts: Mapping[str, str]) -> None:
    of = "all" if done.visited == done.selectable else f"the best of {done.selectable:,}"
    session.out.print(f"\n{done.scope}: {done.visited:,} rows compared ({of})", markup=False)
    session.table(
        "", ["threshold", "kept", "dropped", "", ""], [_curve_row(done, at) for at in range(len(done.curve))]
    )
    session.out.print("\nsimilarity to the nearest other row")
    percentiles = [f"{percentile} %" for percentile, _ in done.percentiles]
    session.table("", percentiles, [[similarity for _, similarity in done.percentiles]])
    _print_pairs(session, f"kept at {done.threshold:g}, nearest to the threshold first", done.below, texts)
    _print_pairs(session, f"dropped at {done.threshold:g}, nearest to the threshold first", done.above, texts)
    _print_advice(session, done)


def _curve_row(done: Calibration, at: int) -> list[Any]:
    point = done.curve[at]
    bar = "█" * round(_BAR * point.kept / max(done.visited, 1))
    marks = [("current", done.threshold), ("recommended", done.recommendation.threshold)]
    note = ", ".join(name for name, threshold in marks if threshold == point.threshold)
    return [point.threshold, point.kept, f"{point.dropped_share:.1%}", bar, note]


def _print_pairs(session: Session, title: str, pairs: tuple[Pair, ...], texts: Mapping[str, str]) -> None:
    session.out.print(f"\n[bold]{title}[/bold]" + ("" if pairs else ": none"))
    for pair in pairs:
        one, other = (one_line(texts.get(name, ""), 10**6) for name in (pair.sample_id, pair.nearest))
        one, other = side_by_side(one, other, _SHOWN)
        session.out.print(f"  {pair.similarity:.4f}  {pair.sample_id}  {one}", markup=False)
        session.out.print(f"          {pair.nearest}  {other}", markup=False)


def _print_advice(session: Session, done: Calibration) -> None:
    advice, option = done.recommendation, f"--{done.scope_kind} {done.scope}"
    session.out.print(f"\n[bold]recommended: {advice.threshold:g}[/bold] (now {done.threshold:g})")
    session.out.print(f"  {advice.reason}", markup=False)
    if advice.threshold == done.threshold:
        return
    session.out.print("  to try it, moving no current selection:")
    session.out.print(
        f"    deita-assets curate {option} --budget N --threshold {advice.threshold:g}", markup=False
    )
    session.out.print("  to keep it, in deita.toml:")
    session.out.print(
        f"    [{done.scope_kind}s.{done.scope}]\n    threshold = {advice.threshold:g}", markup=False
    )
