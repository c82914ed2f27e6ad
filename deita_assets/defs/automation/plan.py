"""The plan: out of the state of a home, what to request now and what everything else waits for.

One pure function, for both sensors and the schedule. It knows nothing of Dagster, and asks the state (`Present`) only
for what it needs; so it can be tried with plain values.

What belongs here: the order of work and the reasons. What does not: reading the state (present), what is stale
(staleness), how often to try (attempts), and making run requests (requests).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from deita_assets.defs.automation.present import Mixture, Present, Source, Work, subset_asset
from deita_assets.defs.automation.staleness import UPSTREAM
from deita_assets.partitions import subset_key

#: Seconds that materialisations wait for a quiet moment before the catalog is published all the same.
LONGEST_UNPUBLISHED_S = 600.0
CATALOG = "serving_catalog"


@dataclass(frozen=True)
class Request:
    """Work to be started now.

    Attributes:
        work: what to do.
        attempt: which attempt at it this is, from 1.
        after: id of the run of the same work that ended last.
    """

    work: Work
    attempt: int
    after: str | None = None


@dataclass(frozen=True)
class Waiting:
    """What waits, and for what."""

    subject: str
    why: str


@dataclass(frozen=True)
class Unplanned:
    """What could not be planned, because of an error of ours; everything else was.

    Attributes:
        subject: which source or mixture.
        error: what was raised.
        arrivals: while its landing folder was judged; what follows from its pool, otherwise.
    """

    subject: str
    error: Exception
    arrivals: bool


@dataclass(frozen=True)
class Plan:
    """What comes of a state.

    Attributes:
        requests: what to start now.
        waiting: what waits, and why.
        stopped: what was given up.
        unplanned: what could not be judged.
        unsettled: sources that are not read because their files do not stand still.
        kept_waiting: mixtures that wait for a source on its way.
    """

    requests: tuple[Request, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    stopped: tuple[Work, ...] = ()
    unplanned: tuple[Unplanned, ...] = ()
    unsettled: tuple[str, ...] = ()
    kept_waiting: tuple[str, ...] = ()


class Way(Enum):
    """How far a source is: nothing to do; somebody is at it; another attempt is due later; a person is needed."""

    READY = "ready"
    BUSY = "busy"
    LATER = "later"
    STOPPED = "stopped"


def plan(
    present: Present,
    *,
    arrivals: bool = True,
    downstream: bool = True,
    overdue: Collection[str] = (),
) -> Plan:
    """What to do in this state.

    Args:
        present: the state of the home.
        arrivals: request runs that read what landed.
        downstream: request everything that follows from the pools.
        overdue: mixtures that have waited for too long. They go on without new files of sources whose pools are
            scored and embedded as they stand.
    """
    return _Planning(present, arrivals, downstream, frozenset(overdue)).run()


@dataclass
class _Planning:
    """One evaluation while it is made."""

    now: Present
    arrivals: bool
    downstream: bool
    overdue: frozenset[str]
    requests: list[Request] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    stopped: list[Work] = field(default_factory=list)
    unplanned: list[Unplanned] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    kept_waiting: list[str] = field(default_factory=list)
    way: dict[str, Way] = field(default_factory=dict)
    #: Sources of which nothing is to be done but to read new files.
    arriving: set[str] = field(default_factory=set)

    def run(self) -> Plan:
        for name, why in self.now.notes:
            self._wait(name, why)
        for source in self.now.sources.values():
            self.way[source.name] = self._try(source.name, partial(self._ingest, source), arrivals=True)
        if self.downstream:
            self._follow()
        return Plan(
            tuple(self.requests), tuple(self.waiting), tuple(self.stopped), tuple(self.unplanned),
            tuple(self.unsettled), tuple(self.kept_waiting),
        )  # fmt: skip

    def _follow(self) -> None:
        """What follows from the pools."""
        sources = self.now.sources.values()
        # Exclusion sets first: what they hold decides what others may select.
        for source in sorted(sources, key=lambda one: one.scored):
            covered = self._try(source.name, partial(self._cover, source))
            if covered is not Way.READY:
                self.arriving.discard(source.name)
            self.way[source.name] = _worse(self.way[source.name], covered)
        failed = {one.subject for one in self.unplanned}
        for source in sources:
            if source.budgets and source.name not in failed:
                self._try(source.name, partial(self._cut_source, source))
        for mixture in self.now.mixtures:
            self._try(_mixture(mixture.name), partial(self._mix, mixture))
        self._try("catalog", self._publish)

    def _try(self, subject: str, step: Callable[[], Way | None], *, arrivals: bool = False) -> Way:
        """One step of one subject; an error in it stops this one, and what waits for it, and nothing else."""
        try:
            return step() or Way.READY
        except Exception as error:  # noqa: BLE001 - told, and raised by nobody who has more to plan
            self.unplanned.append(Unplanned(subject, error, arrivals))
            self._wait(subject, f"cannot be planned: {type(error).__name__}: {error}")
            return Way.STOPPED

    def _wait(self, subject: str, why: str) -> None:
        self.waiting.append(Waiting(subject, why))

    def _offer(self, assets: Sequence[str], partition: str | None, budget: int | None = None) -> Way:
        """Request work, unless an earlier attempt at the same inputs says to wait or to stop."""
        work = Work(tuple(assets), partition, self.now.digest(assets, partition), budget)
        next_one = self.now.outlook(work)
        if next_one.gave_up:
            self._wait(
                work.subject,
                f"gave up after {next_one.attempt} attempts; it is tried again at night, by hand, or with other inputs",
            )
            self.stopped.append(work)
            return Way.STOPPED
        if next_one.due > self.now.at:
            seconds = next_one.due - self.now.at
            self._wait(work.subject, f"failed; attempt {next_one.attempt} follows in {_span(seconds)}")
            return Way.LATER
        self.requests.append(Request(work, next_one.attempt, next_one.after))
        return Way.BUSY

    def _ingest(self, source: Source) -> Way:
        """Read what landed."""
        name = source.name
        if source.trouble:
            self._wait(name, source.trouble)
            return Way.STOPPED
        if source.rows is None and not source.landed:
            self._wait(name, f"nothing stands in landing/{name}/ yet")
            return Way.READY
        if who := self.now.covering("raw_pool", name):
            self._wait(name, f"{who} reads its files")
            return Way.BUSY
        if not self.now.is_stale("raw_pool", name):
            return Way.READY
        if not self.arrivals:
            # Tried in vain before? Then it is not about to be read.
            return self._would_read(name)
        if not source.settled:
            self._wait(name, "its files have changed; they are read once they stand still")
            self.unsettled.append(name)
            self.arriving.add(name)
            return Way.BUSY
        return self._offer(("raw_pool",), name)

    def _would_read(self, name: str) -> Way:
        """What the part that reads files would say."""
        work = Work(("raw_pool",), name, self.now.digest(("raw_pool",), name))
        next_one = self.now.outlook(work)
        if next_one.gave_up:
            self._wait(name, f"its files could not be read in {next_one.attempt} attempts")
            return Way.STOPPED
        self._wait(name, "its files have changed and are to be read first")
        if next_one.due > self.now.at:
            return Way.LATER
        self.arriving.add(name)
        return Way.BUSY

    def _cover(self, source: Source) -> Way:
        """Bring scores, embeddings and the ranking of one source up to date, in one run."""
        wanted = source.wanted
        if not wanted:
            return Way.READY
        stale = self.now.stale_assets(source.name, wanted)
        for asset in ("raw_pool", *wanted) if stale else wanted:
            if who := self.now.covering(asset, source.name):
                if asset != "raw_pool":
                    self._wait(source.name, f"{who} works on {asset}")
                return Way.BUSY
        if not stale:
            return Way.READY
        if self.arrivals and self.way[source.name] is Way.BUSY:
            return Way.BUSY
        held = self._held(source.name, stale)
        free = [asset for asset in stale if asset not in held]
        if "selection_ledger" in free and (why := self._avoided(source.avoids)):
            free.remove("selection_ledger")
            self._wait(source.name, f"its ranking waits for exclusion set {why}")
        if not free:
            return Way.STOPPED if held else Way.BUSY
        depth = max(source.budgets) if "selection_ledger" in free else None
        way = self._offer(free, source.name, depth)
        return Way.STOPPED if held else way

    def _held(self, source: str, stale: Sequence[str]) -> set[str]:
        """Stale assets below a failed blocking check of an asset that is not made anew itself."""
        held: set[str] = set()
        for asset in stale:
            above = _ancestors(asset)
            if held & above:
                held.add(asset)
                continue
            for one in above - set(stale):
                if failed := self.now.failed_checks(one, source):
                    self._wait(source, f"{asset} is held: check {', '.join(failed)} of {one} failed")
                    held.add(asset)
                    break
        return held

    def _avoided(self, names: Sequence[str]) -> str | None:
        """The first exclusion set that is not ready to be compared with, and why."""
        for name in names:
            known = self.now.sources.get(name)
            if known is None or known.rows is None:
                return f"{name}: no such source was ever read"
            if self.way[name] is not Way.READY:
                return f"{name}, which {_WORDS[self.way[name]]}"
        return None

    def _cut_source(self, source: Source) -> None:
        name = source.name
        if not source.rows:
            if source.rows == 0:
                self._wait(name, "its pool holds no rows; its selections stay as they are")
            return
        stale = self.now.stale_assets(name, source.wanted)
        if "selection_ledger" in stale or self.now.covering("selection_ledger", name):
            return
        self._cut("source", name, source.budgets)

    def _mix(self, mixture: Mixture) -> None:
        """Bring the ranking of a mixture up to date once its sources are, then its subsets."""
        subject = _mixture(mixture.name)
        if mixture.trouble:
            self._wait(subject, mixture.trouble)
            return
        if why := self._not_ready(mixture):
            self._wait(subject, why)
            return
        if who := self.now.covering("pooled_ledger", mixture.name):
            self._wait(subject, f"{who} ranks it")
            return
        if not self.now.is_stale("pooled_ledger", mixture.name):
            self._cut("mixture", mixture.name, mixture.budgets)
            return
        for source in mixture.sources:
            for asset in ("scored_pool", *sorted(_ancestors("selection_ledger") - {"scored_pool"})):
                if failed := self.now.failed_checks(asset, source):
                    self._wait(subject, f"held: check {', '.join(failed)} of {asset}[{source}] failed")
                    return
        self._offer(("pooled_ledger",), mixture.name, max(mixture.budgets))

    def _not_ready(self, mixture: Mixture) -> str | None:
        """Which of its sources a mixture waits for; None when all are ready."""
        passed_by = self.arriving if mixture.name in self.overdue else set()
        belongs = [name for name in (*mixture.sources, *mixture.coming) if name not in passed_by]
        on_their_way = [name for name in belongs if self.way[name] in (Way.BUSY, Way.LATER)]
        stopped = [name for name in mixture.sources if self.way[name] is Way.STOPPED]
        if stopped:
            return f"cannot go on without {', '.join(stopped)}, which {_WORDS[Way.STOPPED]}"
        if on_their_way:
            self.kept_waiting.append(mixture.name)
            return f"waits for {', '.join(sorted(on_their_way))}"
        if mixture.missing:
            return f"names {', '.join(mixture.missing)}, of which no rows are in the pool"
        if not mixture.sources:
            return "its sources hold no rows; its selections stay as they are"
        if why := self._avoided(mixture.avoids):
            return f"waits for exclusion set {why}"
        return None

    def _cut(self, kind: str, scope: str, budgets: Sequence[int]) -> None:
        """Publish the subsets of a scope that are not what its ledger gives."""
        asset = subset_asset(kind)
        ledger = "selection_ledger" if kind == "source" else "pooled_ledger"
        for budget in budgets:
            key = str(subset_key(kind, scope, budget))
            if who := self.now.covering(asset, key):
                self._wait(f"{scope} at {budget:,}", f"{who} cuts it")
            elif self.now.is_stale(asset, key):
                if failed := self.now.failed_checks(ledger, scope):
                    self._wait(
                        f"{scope} at {budget:,}", f"held: check {', '.join(failed)} of {ledger} failed"
                    )
                else:
                    self._offer((asset,), key)

    def _publish(self) -> None:
        """Publish the catalog in a quiet moment, when something was materialised since the last time."""
        if self.now.unpublished_since is None:
            return
        if who := self.now.covering(CATALOG, None):
            self._wait("catalog", f"{who} publishes it")
            return
        busy = self.requests or self.now.working or Way.BUSY in self.way.values()
        if busy and self.now.at - self.now.unpublished_since < LONGEST_UNPUBLISHED_S:
            self._wait("catalog", "published when things are quiet")
            return
        self._offer((CATALOG,), None)


_WORDS = {
    Way.BUSY: "is on its way",
    Way.LATER: "is tried again later",
    Way.STOPPED: "needs a person",
    Way.READY: "is ready",
}
_WORST_FIRST = (Way.STOPPED, Way.LATER, Way.BUSY, Way.READY)


def _worse(one: Way, other: Way) -> Way:
    return min(one, other, key=_WORST_FIRST.index)


def _ancestors(asset: str) -> set[str]:
    """Every asset of the same source above one."""
    above = set(UPSTREAM.get(asset, ()))
    return above.union(*(_ancestors(one) for one in above))


def _mixture(name: str) -> str:
    return f"mixture {name}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
