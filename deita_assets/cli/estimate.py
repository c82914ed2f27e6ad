"""`deita-assets estimate`: what scoring and embedding would still take.

What belongs here: the command. What does not: the trial (engines.estimate).
"""

from __future__ import annotations

from dataclasses import asdict

import click

from deita_assets.cli.session import Session, with_session
from deita_assets.engines.progress import duration
from deita_assets.errors import NotFoundError
from deita_assets.settings import ALL


@click.command("estimate")
@click.argument("scope", required=False, default=ALL)
@with_session
def command(session: Session, scope: str) -> None:
    """Turns and tokens left of SCOPE (a source or mixture), and time and disk from a trial of 20 rows or more."""
    from deita_assets.engines.estimate import estimate_in_child
    from deita_assets.stores.scored import STEPS

    sources = _sources(session, scope)
    found = [estimate_in_child(session.home, name, sources) for name in STEPS]
    session.table(
        f"{scope}: {len(sources)} sources", ["step", "wanted", "left", "tokens left", "over window", "time", "disk"],
        [
            [
                e.step, e.n_wanted, e.n_left, "-" if e.tokens_left is None else f"{e.tokens_left:,}",
                "-" if e.share_over_window is None else f"{e.share_over_window:.0%}", duration(e.seconds),
                f"{e.disk_bytes / 1e6:.1f} MB",
            ]
            for e in found
        ],
    )  # fmt: skip
    if given := sum(e.n_given for e in found):
        session.out.print(
            f"{given:,} of the embeddings come with the quality scores, at no time of their own"
        )
    session.out.print(f"in all about {duration(sum(e.seconds for e in found))} on this machine")
    session.emit({"scope": scope, "sources": sources, "steps": [asdict(e) for e in found]})


def _sources(session: Session, scope: str) -> list[str]:
    known = session.known_sources()
    if scope in known:
        return [scope]
    if not known:
        raise NotFoundError(
            f"{session.home.root} has no source yet.", cure="Run `deita-assets add SOURCE PATH`."
        )
    return session.settings.mixture_sources(scope, known)
