"""The shipped heads over the packaged encoder: what any turn may be, and what must never change a score."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets.embedders.sentence import SentenceEmbedder
from deita_assets.errors import ScorerError, UsageError
from deita_assets.scorers import load_scorer
from deita_assets.scorers.distilled.scorer import DistilledScorer

TOLERANCE = 2e-5  # five decimals, and states that differ in their seventh digit with the batch
ODD_TEXTS = [
    "",
    " ",
    "?",
    "\u0000\u0007",
    "\U0001f600" * 50,
    "\u0301\u0301\u0301",
    "\u4f60\u597d\uff0c\u8bf7\u89e3\u91ca\u76f8\u5bf9\u8bba\u3002",
    "[CLS] [SEP] [MASK] </s>",
    "a" * 3_000,
    "word " * 4_000,
    "\n\n\n- \n- \n```",
    "\u0130stanbul'da ka\u00e7 k\u00f6pr\u00fc var?",
]


@pytest.fixture(scope="module")
def encoder():
    return SentenceEmbedder()


@pytest.fixture(scope="module", params=["complexity", "quality"])
def scorer(request, encoder):
    return load_scorer("distilled", request.param, encoder=encoder)


@pytest.fixture(scope="module")
def quality(encoder):
    return load_scorer("distilled", "quality", encoder=encoder)


@pytest.fixture(scope="module")
def complexity(encoder):
    return load_scorer("distilled", "complexity", encoder=encoder)


def test_every_turn_gets_a_score_between_the_grades_or_a_status_that_says_why(scorer):
    turns = [
        (instruction, response) for instruction in ODD_TEXTS for response in ODD_TEXTS[:4] + ODD_TEXTS[-2:]
    ]
    scores, statuses = scorer.score_turns(turns)
    scored = np.array([status == "ok" for status in statuses])
    assert scores.shape == (len(turns),) and scores.dtype == np.float64
    assert ((scores[scored] > 1) & (scores[scored] < 6)).all()
    assert np.isnan(scores[~scored]).all()
    silent = [scorer.measure == "quality" and not response.strip() for _, response in turns]
    assert [status == "empty_response" for status in statuses] == silent


def test_no_turns_give_no_scores(scorer):
    scores, statuses = scorer.score_turns([])
    assert scores.shape == (0,) and statuses == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.text(max_size=200), st.text(max_size=200)), min_size=1, max_size=8), st.randoms()
)
def test_neighbours_and_their_order_never_change_a_score(scorer, turns, rng):
    order = list(range(len(turns)))
    rng.shuffle(order)
    together, _ = scorer.score_turns(turns)
    shuffled, _ = scorer.score_turns([turns[at] for at in order])
    alone = np.array([scorer.score_turns([turn])[0][0] for turn in turns])
    np.testing.assert_allclose(together, alone, atol=TOLERANCE)
    np.testing.assert_allclose(shuffled, together[order], atol=TOLERANCE)


def test_complexity_reads_the_instruction_alone(complexity):
    scores, _ = complexity.score_turns(
        [("Why is the sky blue?", response) for response in ("", "No.", "x " * 500)]
    )
    assert np.ptp(scores) <= TOLERANCE


def test_complexity_does_not_follow_length(complexity):
    letter = (
        "Here is the note from the office. 'Dear all, the meeting on Tuesday moves from room 4 to room 12, because the "
        "projector in room 4 is broken. Please bring your own cups, since the kitchen is closed for repairs until "
        "Friday, and remember that the side door is locked after six. Coffee is in the hall. Kind regards, Ulla.' "
        "Who wrote the note?"
    )
    hard = "Prove that the chromatic polynomial of a planar graph has no zero at 4."
    scores, _ = complexity.score_turns([(letter, ""), (hard, "")])
    assert scores[1] > scores[0] + 1


def test_quality_tells_an_answer_from_a_refusal_noise_and_somebody_elses_answer(quality):
    asked = "How do I get red wine out of a white cotton shirt?"
    answers = [
        "Blot it, do not rub. Rinse with cold water from the back, cover the stain with salt or soak it in cold water "
        "with a spoon of oxygen bleach for an hour, then wash at 40 degrees. Check before drying, as heat sets it.",
        "I'm sorry, but I can't help with that request.",
        "wine it with cold shirt rub back the then do not of hour bleach an. set heat Blot salt water",
        "The Treaty of Westphalia ended the Thirty Years' War in 1648 and shaped the modern state.",
    ]
    scores, _ = quality.score_turns([(asked, answer) for answer in answers])
    assert scores[0] == scores.max()
    assert scores[0] > scores[1] + 0.5


def test_nothing_beyond_the_window_is_cut(scorer):
    opening = "The list of parts follows. " * 60
    ends = [
        "Count them.",
        "Prove that no assignment of these parts to bins can satisfy every stated inequality at once.",
    ]
    turns = [(opening + end, opening + end) for end in ends]
    scores, statuses = scorer.score_turns(turns)
    assert statuses == ["ok", "ok"]
    assert scores[0] != scores[1]


def test_the_by_product_is_the_embedding_of_the_conversation(quality, encoder):
    turns = [("Hello there", "Hi. What can I do?"), ("Long", "many words " * 400), ("Mute", "  ")]
    scores, statuses, vectors = quality.score_and_embed(turns)
    assert statuses[2] == "empty_response" and set(vectors) == {0, 1}
    expected = encoder.embed_texts([f"{turns[at][0]}\n\n{turns[at][1]}" for at in (0, 1)])
    np.testing.assert_allclose(np.stack([vectors[0], vectors[1]]), expected, atol=1e-6)
    np.testing.assert_array_equal(scores, quality.score_turns(turns)[0])


def test_the_two_measures_have_their_own_fingerprints(encoder, complexity, quality):
    assert complexity.fingerprint.digest != quality.fingerprint.digest
    assert complexity.fingerprint == load_scorer("distilled", "complexity", encoder=encoder).fingerprint
    assert {complexity.fingerprint.name, quality.fingerprint.name} == {"distilled"}


def test_a_head_of_the_other_measure_or_another_encoder_is_refused(tmp_path, encoder, complexity):
    (tmp_path / "quality.safetensors").write_bytes(complexity.head.to_bytes())
    with pytest.raises(ScorerError, match="trained for"):
        DistilledScorer("quality", encoder, heads=tmp_path)
    (tmp_path / "complexity.safetensors").write_bytes(complexity.head.to_bytes())
    with pytest.raises(ScorerError, match="trained for"):
        DistilledScorer("complexity", SentenceEmbedder(dtype="bfloat16"), heads=tmp_path)
    assert DistilledScorer("complexity", encoder, heads=tmp_path).fingerprint == complexity.fingerprint


@pytest.mark.parametrize("content", [None, b"", b"not a head", b"\x10\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_missing_or_broken_head_is_refused_with_a_cure(tmp_path, encoder, content):
    if content is not None:
        (tmp_path / "quality.safetensors").write_bytes(content)
    with pytest.raises(ScorerError, match=r"quality\.safetensors") as caught:
        DistilledScorer("quality", encoder, heads=tmp_path)
    assert caught.value.cure


def test_an_encoder_is_needed():
    with pytest.raises(UsageError, match="encoder"):
        load_scorer("distilled", "quality")


def test_tokens_are_counted_as_they_are_read(complexity, quality):
    assert complexity.count_tokens([("Hello there", "ignored")]) == [2]
    assert quality.count_tokens([("Hello there", "my friend")]) == [4]
