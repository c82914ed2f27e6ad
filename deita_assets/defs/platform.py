"""The one resource: the home with its stores and settings, opened when a run needs them.

What belongs here: wiring. What does not: anything heavy; this module is imported by the code server.
"""

import dagster as dg

from deita_assets.settings import DeitaSettings, load_settings
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Stores and settings of one home.

    Attributes:
        home_path: the home folder; empty means `$DEITA_HOME`, read at run time.
    """

    home_path: str = ""

    @property
    def home(self) -> Home:
        """The home, with its folders made."""
        return Home.at(self.home_path or None).create()

    @property
    def warehouse(self) -> Warehouse:
        """The DuckDB warehouse, its schema current."""
        warehouse = Warehouse(self.home)
        warehouse.migrate()
        return warehouse

    @property
    def settings(self) -> DeitaSettings:
        """Settings as they are now."""
        return load_settings(self.home)
