"""A process that fills a home step by step, as a curate run does, and publishes after each: `HOME ROUNDS`."""

import sys
from pathlib import Path

import numpy as np

from deita_assets.stores.home import Home
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped


def main(root: str, rounds: str) -> None:
    home = Home(Path(root)).create()
    scoped = Scoped(Warehouse(home), Landing(home))
    rng = np.random.default_rng(1)
    names: list[str] = []
    for number in range(int(rounds)):
        names.append(f"s{number}")
        scoped.source(names[-1], {f"{number} {n}": (float(n % 7), rng.normal(size=5)) for n in range(40)})
        publish(home)
        scoped.subset(scoped.ledger(*names, kind="mixture", name="all"), 10)
        publish(home)


if __name__ == "__main__":
    main(*sys.argv[1:])
