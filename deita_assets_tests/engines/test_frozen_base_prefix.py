"""However much of a version is written in the settings, its ledger is the same one."""

import numpy as np
import pytest

from deita_assets.errors import NotFoundError
from deita_assets_tests.engines.scopes import Scoped


def test_a_prefix_gives_the_same_ledger_as_the_whole_version(warehouse, land):
    scoped = Scoped(warehouse, land)
    scoped.source("s", {f"q{n}": (6.0 - n, np.eye(5)[n]) for n in range(5)})
    base = scoped.subset(scoped.ledger("s"), 2).selection.version
    whole = scoped.ledger("s", frozen_base=base)
    assert scoped.ledger("s", frozen_base=base[:6]).ledger_id == whole.ledger_id
    assert whole.spec["frozen_base"]["selection_version"] == base
    with pytest.raises(NotFoundError, match="is no selection version of this home"):
        scoped.ledger("s", frozen_base="zzzzzz")
