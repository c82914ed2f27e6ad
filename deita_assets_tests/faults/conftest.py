"""The witness of a module of the matrix, and the small home that crashes and refused writes are brought about in."""

from pathlib import Path

import pytest

from deita_assets_tests.faults import journeys
from deita_assets_tests.faults.matrix import Witness


@pytest.fixture
def witness(request: pytest.FixtureRequest) -> Witness:
    """Records what is seen of the faults of this module's `GROUP`."""
    return Witness(request.module.GROUP)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> journeys.World:
    """A small home at the beginning of each step of its way; made once, copied by many."""
    template = journeys.begun(tmp_path_factory.mktemp("begun"), migrated)
    return journeys.World(tmp_path_factory.mktemp("steps"), {journeys.STEPS[0]: template})
