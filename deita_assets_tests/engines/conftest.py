"""Published versions that several test files look at; each changes a copy."""

import pytest

from deita_assets_tests.engines import past_versions


@pytest.fixture(scope="session")
def past_template(tmp_path_factory, migrated):
    """A home with versions of a few kinds, in which nothing has changed since: (home, case -> version)."""
    return past_versions.published(tmp_path_factory.mktemp("reproduce"), migrated, past_versions.FEW)
