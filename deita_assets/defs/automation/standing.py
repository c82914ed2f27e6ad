"""States that a person has to know of, and the alert of each: settings, landing, withheld rows, what was given up.

Each comes with a key that is the same while the state lasts, so that it is told once (told).

What belongs here: from a state to its alert. What does not: judging states (plan, landed), or telling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.alerts import Alert
from deita_assets.defs.automation.attempts import MOST_ATTEMPTS
from deita_assets.defs.automation.landed import Landing
from deita_assets.defs.automation.plan import Plan, Unplanned
from deita_assets.defs.automation.present import Work
from deita_assets.defs.automation.records import LatestRecords
from deita_assets.defs.automation.requests import short_name
from deita_assets.errors import DeitaError, SettingsError

#: (what stands for the state, its alert).
Standing = tuple[str, Alert]
#: Parts that `told` keeps apart: whoever tells of one has looked at all of it.
SETTINGS, ARRIVALS, UNSETTLED, DOWNSTREAM = "settings", "arrivals", "unsettled", "downstream"
#: Subjects of one alert that are named.
_NAMED = 3


def settings(error: SettingsError) -> Standing:
    """Settings that cannot be read."""
    alert = Alert(kind="settings", subject="deita.toml", message=error.message, cure=error.cure)
    return short_digest(["settings", error.message]), alert


def arrivals(landing: Landing, records: LatestRecords, planned: Plan) -> Iterator[Standing]:
    """Folders that cannot be listed or belong to no source, removals held back, files that cannot be read."""
    for name, one in landing.sources.items():
        if one.trouble:
            yield short_digest(["landing", name, one.trouble]), Alert("landing", name, one.trouble, one.cure)
    for odd in landing.passed_over:
        yield short_digest(["passed over", odd.place]), Alert("landing", odd.place, odd.why, odd.cure)
    for name, made in records.of("raw_pool").items():
        if made.withheld:
            yield (
                short_digest(["withheld", name, made.withheld]),
                Alert(
                    kind="removals_withheld",
                    subject=f"raw_pool[{name}]",
                    message=f"{made.withheld:,} of its {made.rows:,} rows no longer stand in landing/{name}/, "
                    "more than 20 % of them or all. They were kept, because an unmounted disk looks the same",
                    cure=f"Put the files back, or run `deita-assets add {name} --accept-removals`.",
                    run_id=made.run_id,
                ),
            )
    yield from (_gave_up(work) for work in planned.stopped if _reads_files(work))
    yield from _unplanned(one for one in planned.unplanned if one.arrivals)


def downstream(planned: Plan) -> Iterator[Standing]:
    """What was given up below the pools."""
    yield from (_gave_up(work) for work in planned.stopped if not _reads_files(work))
    yield from _unplanned(one for one in planned.unplanned if not one.arrivals)


def unsettled(sources: Iterable[str]) -> Iterator[Standing]:
    """Sources that are not read, because something writes to them all the time."""
    for name in sources:
        alert = Alert(
            kind="landing",
            subject=name,
            message="its files have changed all the time for an hour or more; they are read once they stand still",
            cure=f"Write elsewhere, and move finished files into landing/{name}/; or end what writes there.",
        )
        yield short_digest(["unsettled", name]), alert


def failure(tick: str, error: Exception) -> Standing:
    """A tick that failed as a whole."""
    return _automation([tick], error)


def _unplanned(failed: Iterable[Unplanned]) -> Iterator[Standing]:
    """One alert for each error, whatever it stopped."""
    subjects: dict[str, list[str]] = {}
    errors: dict[str, Exception] = {}
    for one in failed:
        errors[_words(one.error)] = one.error
        subjects.setdefault(_words(one.error), []).append(one.subject)
    for words, error in errors.items():
        yield _automation(subjects[words], error)


def _automation(subjects: list[str], error: Exception) -> Standing:
    words = _words(error)
    more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
    cure = error.cure if isinstance(error, DeitaError) else ""
    alert = Alert(
        kind="automation",
        subject=", ".join(subjects[:_NAMED]) + more,
        message=f"could not be looked at ({words}), and nothing is requested for it",
        cure=f"{cure} See the latest tick's log in the UI (`deita-assets dev`).".strip(),
    )
    return short_digest(["automation", *subjects, words]), alert


def _words(error: Exception) -> str:
    """Our own words, else no more than the error's name, which holds no row."""
    return error.message if isinstance(error, DeitaError) else type(error).__name__


def _gave_up(work: Work) -> Standing:
    last = f" ({short_name(work)})" if len(work.assets) > 1 else ""
    alert = Alert(
        kind="gave_up",
        subject=work.subject,
        message=f"{MOST_ATTEMPTS} runs for these inputs did not bring it up to date{last}.",
        cure="See its latest run in the UI (`deita-assets dev`), remove the cause, and materialise it by hand; "
        "it is tried again at night too.",
    )
    return short_digest(["gave up", work.subject, work.inputs]), alert


def _reads_files(work: Work) -> bool:
    return work.assets == ("raw_pool",)
