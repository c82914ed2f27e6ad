"""Conversations scored as the published code of DEITA scores them, for comparison with scores that it made.

What belongs here: whole conversations in, the lists of scores out. What does not: the scorer (`deita`, with
`compat="official"`), the pairs (`core.conversation.official_turns`), and the pool, which is paired by the rule of
`Conversation.turns` and scored without `compat`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from deita_assets.core.conversation import Conversation, official_turns
from deita_assets.errors import UsageError
from deita_assets.scorers.base import Status
from deita_assets.scorers.deita import DeitaScorer


@dataclass(frozen=True)
class OfficialScores:
    """One conversation.

    Attributes:
        scores: one for each pair, as the published code lists them under `complexity_scores` or
            `quality_scores`; empty for a conversation without messages.
        statuses: `ok`, or `fallback` where a 3.0 stands for "no score".
    """

    scores: tuple[float, ...]
    statuses: tuple[Status, ...]


def score_official(scorer: DeitaScorer, conversations: Sequence[Conversation]) -> list[OfficialScores]:
    """Scores of each conversation in the published way, pairs included.

    Args:
        scorer: made with `compat="official"`.
        conversations: their messages as they stand in the file. A system text that stands beside the messages
            is one message more once it is parsed, which the published code does not read.

    Raises:
        UsageError: the scorer was made without `compat="official"`.
        ScorerError: the model cannot be loaded.
    """
    if scorer.compat != "official":
        raise UsageError(
            f"the scorer has compat={scorer.compat!r}, expected 'official': its scores are not comparable.",
            cure='Make it with DeitaScorer(..., compat="official").',
        )
    pairs = [official_turns(conversation.messages) for conversation in conversations]
    texts = [(turn.instruction, turn.response) for turns in pairs for turn in turns]
    scores, statuses = scorer.score_turns(texts)
    ends = accumulate((len(turns) for turns in pairs), initial=0)
    return [
        OfficialScores(tuple(scores[start:end].tolist()), tuple(statuses[start:end]))
        for start, end in pairwise(ends)
    ]
