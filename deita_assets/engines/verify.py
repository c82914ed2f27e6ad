"""Verify: an audit of everything that a home holds, one part after another.

Locks are held for short reads only, and runs go on meanwhile; what changes between two reads is not compared. Vectors
stream through, keys and scores are held.

What belongs here: which parts, in which order. What does not: any one part, or repairing (verify_repair).
"""

from __future__ import annotations

from deita_assets.engines.verify_lance import audit_lance
from deita_assets.engines.verify_parts import Audit, OnPart
from deita_assets.engines.verify_subsets import audit_subsets
from deita_assets.engines.verify_warehouse import audit_blocks, audit_rows, audit_serving
from deita_assets.stores.warehouse import Warehouse


def verify(warehouse: Warehouse, on_part: OnPart = lambda part, done, total: None) -> Audit:
    """Look at everything.

    Args:
        warehouse: of the home; read only.
        on_part: told (part, done, total) as it goes on.

    Raises:
        LockTimeoutError: another process held the warehouse too long.
    """
    found = audit_blocks(warehouse, on_part)
    reads = found.sound
    if reads:
        found.take(audit_rows(warehouse, on_part))
        found.take(audit_serving(warehouse, on_part))
    found.take(audit_lance(warehouse, on_part, compare=reads))
    if reads:
        found.take(audit_subsets(warehouse, on_part))
    else:
        found.notes.append("What stands in warehouse.duckdb was not compared with anything.")
    return found
