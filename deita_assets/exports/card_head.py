"""The YAML head of a dataset card: what `datasets.load_dataset(folder)` and the hub read.

What belongs here: licences by the hub's names, sizes, files, types of columns. What does not: text for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

#: The hub's names of licences that instruction data comes under; a licence written otherwise is `other`.
_HUB_LICENCES: Final = frozenset(
    {
        "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0",
        "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0",
        "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "odc-by", "odbl", "pddl", "unlicense", "wtfpl",
        "gpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "artistic-2.0", "openrail", "cdla-permissive-1.0",
        "cdla-permissive-2.0", "cdla-sharing-1.0", "llama2", "llama3", "llama3.1", "gemma",
    }
)  # fmt: skip
_SIZES: Final = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)  # fmt: skip


def card_head(
    *,
    title: str,
    licences: Sequence[str | None],
    n_rows: int,
    files: str,
    config: str = "default",
    features: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """The head with its two lines of dashes.

    Args:
        title: of the dataset.
        licences: of the sources that gave rows; None where nobody said.
        n_rows: how many rows.
        files: path or pattern of the rows below the card's folder.
        config: name of the one configuration. `datasets` keeps what it loaded from a folder with a head under the
            folder's own name (not its path) and this one, and gives it back for any other folder of that name; so two
            folders that may bear the same name need different ones.
        features: types of the columns as `datasets` writes them, where a loader should not guess them.
    """
    values: dict[str, Any] = {
        "pretty_name": title,
        "license": _hub_licences(licences),
        "task_categories": ["text-generation"],
        "tags": ["instruction-tuning", "sft", "deita_assets"],
        "size_categories": [_size(n_rows)],
        "configs": [{"config_name": config, "data_files": [{"split": "train", "path": files}]}],
    }
    if features:
        values["dataset_info"] = {"config_name": config, "features": [dict(one) for one in features]}
    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1_000)
    return f"---\n{text}---\n"


def _hub_licences(licences: Sequence[str | None]) -> str | list[str]:
    names = sorted({_hub_licence(licence) for licence in licences} or {"unknown"})
    return names[0] if len(names) == 1 else names


def _hub_licence(licence: str | None) -> str:
    if not licence:
        return "unknown"
    name = licence.strip().lower().replace(" ", "-")
    return name if name in _HUB_LICENCES else "other"


def _size(n_rows: int) -> str:
    return next((name for most, name in _SIZES if n_rows < most), "n>10M")
