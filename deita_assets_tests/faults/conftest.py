"""The witness of a module of the matrix."""

import pytest

from deita_assets_tests.faults.matrix import Witness


@pytest.fixture
def witness(request: pytest.FixtureRequest) -> Witness:
    """Records what is seen of the faults of this module's `GROUP`."""
    return Witness(request.module.GROUP)
