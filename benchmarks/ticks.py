"""What one tick of the two sensors costs over a home of many sources and budgets.

    python benchmarks/ticks.py                                  # 20 x 3 and 200 x 5; half a minute
    python benchmarks/ticks.py --sizes 20x3 200x5 500x5

A home of S sources with one file each and B budgets named in `deita.toml` is made, with a materialisation of every
asset partition, its digest of inputs right, as runs would have left them: everything is current and both sensors find
nothing to do, which is looked at before any time is printed. Then, in turns and by `time.process_time`:

- cold: the first tick of a process, which reads every latest materialisation; of the second sensor, what the first
  left to read
- still: a tick that finds nothing new, as most are; the fastest of the rounds counts
- floor: what Dagster itself takes to say which event is the latest of every asset partition, without reading any
- one file: a tick after the file of one source has changed; it has to request that source, and it alone

Dagster gives up a tick after 60 s.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import dagster as dg

from deita_assets.defs.automation.records import INPUTS
from deita_assets.defs.automation.sensors import landing_sensor, recuration_sensor
from deita_assets.defs.automation.staleness import SOURCE_ASSETS, Staleness
from deita_assets.defs.instance import open_instance
from deita_assets.defs.platform import Platform
from deita_assets.partitions import subset_key

SENSORS = {"landing_sensor": landing_sensor, "recuration_sensor": recuration_sensor}


class ManySources:
    """A home of many sources, all current, over which sensors tick.

    Attributes:
        sources: names.
        instance: Dagster's, of this home.
    """

    def __init__(self, root: Path, n_sources: int, n_budgets: int) -> None:
        self.sources = [f"source_{at:03}" for at in range(n_sources)]
        self.budgets = [1000 * at for at in range(1, n_budgets + 1)]
        self.platform = Platform(home_path=str(root))
        self.home = self.platform.home
        self.home.settings.write_text(f"budgets = {self.budgets}\n", encoding="utf-8")
        for source in self.sources:
            self.write(source, "question")
        self.instance = open_instance(self.home)
        self.instance.add_dynamic_partitions("source", self.sources)
        self.instance.add_dynamic_partitions("mixture", ["all"])
        self.instance.add_dynamic_partitions("budget", [str(budget) for budget in self.budgets])
        self.cursors: dict[str, str | None] = {}
        self._stale = Staleness(self.instance, self.home, self.platform.settings, lambda: self.sources)
        self._materialise()

    def write(self, source: str, question: str) -> None:
        """One file of one row."""
        row = {
            "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "answer"}]
        }
        file = self.home.source_landing(source) / "rows.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row) + "\n", encoding="utf-8")

    def _materialise(self) -> None:
        for asset in SOURCE_ASSETS:
            for source in self.sources:
                self._made(asset, source)
        self._made("pooled_ledger", "all")
        for budget in self.budgets:
            for source in self.sources:
                self._made("selected_subset", subset_key("source", source, budget))
            self._made("pooled_subset", subset_key("mixture", "all", budget))
        self._made("serving_catalog", None)

    def _made(self, asset: str, partition: str | None) -> None:
        """What a run of this asset partition leaves behind."""
        metadata: dict[str, str | int] = {"dagster/partition_row_count": 1}
        if partition is not None:
            metadata[INPUTS] = self._stale.inputs(asset, partition)
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset,
                partition=partition,
                metadata=metadata,
                tags={"dagster/data_version": f"{asset}-{partition}"},
            )
        )

    def tick(self, name: str) -> tuple[float, list[dg.RunRequest], str]:
        """CPU seconds of one evaluation, what it requests, and what it says."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursors.get(name), resources={"platform": self.platform}
        ) as context:
            began = time.process_time()
            done = SENSORS[name](context)
            took = time.process_time() - began
        self.cursors[name] = done.cursor
        return took, list(done.run_requests or []), str(done.skip_reason and done.skip_reason.skip_message)

    def floor(self) -> float:
        """CPU seconds of asking Dagster which event is the latest of each asset partition."""
        began = time.process_time()
        for asset in (*SOURCE_ASSETS, "pooled_ledger", "selected_subset", "pooled_subset"):
            self.instance.get_latest_storage_id_by_partition(
                dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
            )
        return time.process_time() - began


def measure(n_sources: int, n_budgets: int, rounds: int) -> list[str]:
    """One line of the table for each sensor."""
    with tempfile.TemporaryDirectory() as root:
        home = ManySources(Path(root), n_sources, n_budgets)
        cold = {}
        for name in SENSORS:
            cold[name] = home.tick(name)[0]
        home.tick("landing_sensor")  # a file is acted on once it was the same at two ticks
        still: dict[str, list[float]] = {name: [] for name in SENSORS}
        floors = []
        for _ in range(rounds):
            floors.append(home.floor())
            for name in SENSORS:
                took, requests, said = home.tick(name)
                assert not requests, (
                    f"{name} requests {len(requests)} runs of a home that is current: {requests[:2]}"
                )
                still[name].append(took)
        home.write(home.sources[-1], "another question")
        home.tick("landing_sensor")
        changed, requests, _ = home.tick("landing_sensor")
        assert [one.partition_key for one in requests] == [home.sources[-1]], requests
        lines = []
        for name in SENSORS:
            best, floor = min(still[name]), min(floors)
            one = f"{changed:8.3f}" if name == "landing_sensor" else f"{'-':>8}"
            lines.append(
                f"{n_sources:7} {n_budgets:7} {name:18} {cold[name]:8.3f} {best:8.3f} {floor:8.3f} {best / floor:8.1f} "
                f"{one}  {said if name == 'recuration_sensor' else ''}"
            )
        return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=["20x3", "200x5"], metavar="SOURCESxBUDGETS")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print("CPU seconds of a tick")
    columns = ["cold", "still", "floor", "x floor", "one file"]
    print(f"{'sources':>7} {'budgets':>7} {'sensor':18} " + " ".join(f"{name:>8}" for name in columns))
    for size in given.sizes:
        n_sources, _, n_budgets = size.partition("x")
        for line in measure(int(n_sources), int(n_budgets), given.rounds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
