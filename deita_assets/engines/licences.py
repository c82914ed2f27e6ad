"""What happens to sources whose licence nobody said, where settings ask for one.

What belongs here: the refusal. What does not: which sources those are (exports.card), and warnings.
"""

from __future__ import annotations

from collections.abc import Sequence

from deita_assets.errors import DeitaError


def refuse_unknown_licences(sources: Sequence[str]) -> None:
    """Refuse sources without a licence.

    Raises:
        DeitaError: there are any; names them.
    """
    if not sources:
        return
    raise DeitaError(
        f"licence unknown: {', '.join(sources)}. The setting `require_licence` refuses selected rows of such sources.",
        cure=f'Say it once in deita.toml, as in [sources.{sources[0]}] licence = "CC-BY-4.0", or with '
        "`deita-assets add SOURCE PATH --licence L`, and run `deita-assets curate` again; or set "
        "require_licence = false.",
    )
