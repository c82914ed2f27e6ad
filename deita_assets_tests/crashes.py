"""Other processes that do one thing and may be killed while at it.

They are forked off a server that has DuckDB loaded but never used, so that one costs a few milliseconds.
LanceDB must not be forked once loaded: what needs it loads it in the child.
"""

import importlib
import multiprocessing
import os
import signal
import time

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.stores.lock import file_lock
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse

_CONTEXT = multiprocessing.get_context("forkserver")
# What LanceDB loads besides itself: 1.4 s of CPU once, instead of in every child that needs it.
_CONTEXT.set_forkserver_preload(["pytest", __name__, "pyarrow.dataset", "pandas", "lance_namespace"])

KILLED = -signal.SIGKILL


def event():
    return _CONTEXT.Event()


def barrier(parties):
    return _CONTEXT.Barrier(parties)


def start(task, *arguments, kill_at=None, calls=1):
    """Run a function of this module in another process.

    Args:
        task: the function.
        arguments: what it gets.
        kill_at: `module:attribute`; the process is killed when it calls this for the `calls`-th time.
        calls: see there.
    """
    process = _CONTEXT.Process(target=_run, args=(task, arguments, kill_at, calls))
    process.start()
    return process


def run(task, *arguments, kill_at=None, calls=1):
    """`start`, and wait for the end; returns the exit code, `KILLED` when it was killed."""
    return finish(start(task, *arguments, kill_at=kill_at, calls=calls))


def finish(process, timeout=120):
    """Wait for a process and return its exit code."""
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"still running after {timeout} s")
    return process.exitcode


def kill(process):
    """End a process as the kernel's out-of-memory killer would."""
    process.kill()
    process.join()


def _run(task, arguments, kill_at, calls):
    if kill_at:
        arm(kill_at, calls)
    task(*arguments)


def arm(place, calls):
    """This process is killed when it calls `place` (`module:attribute`) for the `calls`-th time."""
    module, _, path = place.partition(":")
    owner = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)
    left = [calls]

    def armed(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, armed)


def migrate(home, together):
    together.wait()
    Warehouse(home).migrate()


def ingest(home, source):
    ingest_source(Warehouse(home), source, SourceReading())


def publish_serving(home):
    publish(home)


def hold_lock(path, purpose, shared, held):
    with file_lock(path, purpose, shared=shared):
        held.set()
        time.sleep(60)


def write_slowly(home, written, seconds):
    with Warehouse(home).write("write slowly") as con:
        con.execute("insert into store.source values ('slow', null, '{}', null)")
        written.set()
        time.sleep(seconds)


def commit_and_die(home):
    """The commit is in the write-ahead log alone when the process ends."""
    with Warehouse(home).write("commit and die") as con:
        con.execute("insert into store.source values ('logged', null, '{}', null)")
        con.execute("commit")
        os.kill(os.getpid(), signal.SIGKILL)


def insert_scores(homes, prompts, together):
    """In one home after the other; everybody begins each of them at once."""
    import lancedb  # noqa: F401 - loaded before the race, not during it
    import numpy as np

    from deita_assets.stores.vectors import ScoreTable

    for home in homes:
        together.wait(60)
        table = ScoreTable(home)
        for start_at in range(0, len(prompts), 10):
            part = prompts[start_at : start_at + 10]
            table.insert("complexity", "abcdef12", part, np.ones(len(part)), ["ok"] * len(part))


def cover(home, measure, source, commits):
    """Score a source with the fake scorer and die right after the `commits`-th commit."""
    from deita_assets.engines import cover as engine
    from deita_assets_tests.engines.fakes import FakeScorer

    engine._next_batch = lambda size, seconds: 8
    engine._FIRST_BATCH = 8
    left = [commits]

    def hook(point):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    engine.cover_source(Warehouse(home), engine.ScoreStep(home, FakeScorer(measure)), source, hook=hook)


def cut(home, ledger_id, budget):
    from deita_assets.engines.cut import cut_subset
    from deita_assets.stores.ledgers import find_ledger

    with Warehouse(home).read("find") as con:
        ledger = find_ledger(con, ledger_id)
    cut_subset(Warehouse(home), ledger, budget, provenance={"run_id": "killed"})


def take_down(home, contents, before_commit=False):
    """`before_commit`: die when everything is written and nothing committed yet."""
    from deita_assets.engines import takedown
    from deita_assets.stores import takedowns

    if before_commit:
        mark = takedowns.mark

        def marked(*args):
            mark(*args)
            os.kill(os.getpid(), signal.SIGKILL)

        takedowns.mark = marked
    takedown.take_down(Warehouse(home), contents, "asked")


def move_out(home, source, uris):
    from deita_assets.engines.withdrawal import move_out

    move_out(home, source, uris)


def insert_vectors(home, fingerprint, numbers, dimension, together):
    """Vectors one small commit at a time."""
    import hashlib

    import lancedb  # noqa: F401 - loaded before the race, not during it
    import numpy as np

    from deita_assets.stores.vectors import EmbeddingTable

    together.wait()
    table = EmbeddingTable(home, fingerprint, dimension)
    for at in range(0, len(numbers), 5):
        part = numbers[at : at + 5]
        keys = [hashlib.sha256(str(n).encode()).hexdigest() for n in part]
        table.insert(keys, np.array([[n + 1] * dimension for n in part], np.float32))


def compact_often(home, name, together, rounds):
    from datetime import timedelta

    import lancedb  # noqa: F401 - as above

    from deita_assets.stores.lance_upkeep import compact_table

    together.wait()
    for _ in range(rounds):
        compact_table(home, name, timedelta(hours=1))


def compact(home, name, hours):
    from datetime import timedelta

    from deita_assets.stores.lance_upkeep import compact_table

    compact_table(home, name, timedelta(hours=hours))
