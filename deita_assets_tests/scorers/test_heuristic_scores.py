import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.errors import UsageError
from deita_assets.scorers import heuristic, heuristic_cues
from deita_assets.scorers.heuristic import HeuristicScorer

HARD = (
    "Derive the time complexity of merge sort, prove that it is optimal among comparison sorts, and compare it "
    "with radix sort. Your answer must:\n1. use at most 300 words\n2. include a table\n3. avoid big-O notation "
    "without a definition\nThen explain why the bound does not hold for integers."
)
QUESTION = "Explain how vaccines protect the body against infection, and why booster doses are needed."
GOOD = (
    "Vaccines train the immune system without causing the disease.\n\n"
    "1. A vaccine shows the body a harmless part of the germ, so that immune cells learn to recognise it.\n"
    "2. Memory cells remain after the training. When the real infection arrives, they respond quickly.\n"
    "3. Booster doses are needed because the number of memory cells and antibodies falls over the years.\n\n"
    "Together these steps protect the body before an infection can spread."
)
OFF_TOPIC = (
    "Our bakery opens at seven in the morning. We sell rye bread, rolls and cakes, and on Saturdays there is a "
    "street market with cheese and flowers. Parking is free behind the building. Ask for the weekly offers, "
    "which change every Monday, and bring your own bag to get a discount of five percent."
)


def complexity(*instructions):
    return HeuristicScorer("complexity").score_turns([(text, "") for text in instructions])[0]


def quality(instruction, *responses):
    return HeuristicScorer("quality").score_turns([(instruction, text) for text in responses])[0]


def test_a_hard_question_with_constraints_scores_above_a_greeting():
    hard, plain, greeting = complexity(HARD, "What is the capital of France?", "hi")
    assert hard > plain + 1.0
    assert plain > greeting
    assert hard > 4.0
    assert greeting < 2.0


def test_each_added_constraint_raises_complexity():
    steps = [
        "Write a story about a fox.",
        " It must be set in winter.",
        " Use exactly 120 words.",
        " Avoid adjectives.",
    ]
    scores = complexity(*("".join(steps[: n + 1]) for n in range(len(steps))))
    assert (np.diff(scores) > 0).all()


@pytest.mark.parametrize(
    ("hard", "easy"),
    [
        (
            "请证明勾股定理，并比较三种证明方法，要求不超过300字。",
            "你好",
        ),
        (
            "なぜ空は青いのか、比較して説明してください。必ず200字以下。",
            "こんにちは",
        ),
        (
            "왜 하늘이 파란지 설명하고 비교하세요. 반드시 200자 이내.",
            "안녕",
        ),
        (
            "Erkläre, warum der Himmel blau ist, und vergleiche zwei Modelle. Höchstens 100 Wörter.",
            "Hallo",
        ),
        ("Explique pourquoi le ciel est bleu et compare deux modèles sans équations.", "Salut"),
        ("Explica por qué el cielo es azul y compara dos modelos, sin ecuaciones.", "Hola"),
        (
            "Объясни, почему небо синее, и сравни две модели.",
            "Привет",
        ),
    ],
    ids=["zh", "ja", "ko", "de", "fr", "es", "ru"],
)
def test_hard_questions_score_above_greetings_in_other_languages(hard, easy):
    high, low = complexity(hard, easy)
    assert high > low + 0.5


def test_a_cue_word_counts_in_every_language():
    # Same length, same structure: only the word that asks for depth differs.
    pairs = [
        ("prove this", "write this"),
        ("证明它", "写下它"),
        ("warum so", "immer so"),
    ]
    for deep, plain in pairs:
        high, low = complexity(deep, plain)
        assert high > low


@pytest.mark.parametrize(
    "worse",
    [
        "Yes.",
        "Vaccines",
        "I'm sorry, but as an AI language model I cannot help with questions about vaccines or infections.",
        "I\u2019m sorry, but I cannot answer that.",
        "Vaccines protect the body. " * 20,
        OFF_TOPIC,
        QUESTION,
        GOOD[:300],
    ],
    ids=["one word", "topic word", "refusal", "curly refusal", "repetition", "off topic", "echo", "cut off"],
)
def test_a_relevant_structured_answer_scores_above(worse):
    good, bad = quality(QUESTION, GOOD, worse)
    assert good > bad + 0.2
    assert good > 4.0


def test_an_answer_falls_when_it_belongs_to_another_question():
    own, other = quality(QUESTION, GOOD, OFF_TOPIC)
    [home] = quality(
        "Describe our bakery: when it opens, which bread and cakes we sell, and where parking is.", OFF_TOPIC
    )
    assert own > other + 1.0
    assert home > other + 1.0


def test_a_translation_is_not_called_off_topic():
    text = (
        "Der Zug verlässt den Bahnhof um acht Uhr morgens und kommt gegen Mittag an. Unterwegs hält er in drei "
        "kleinen Städten, in denen man Kaffee und Brot kaufen kann, bevor die Reise durch die Berge weitergeht."
    )
    asked = "The train leaves the station at eight in the morning and arrives around noon, stopping in small towns."
    [translated] = quality(f"Translate into German: {asked}", text)
    [unrelated] = quality(f"Summarise this passage: {asked}", text)
    assert translated > unrelated + 1.0


def test_chinese_answers_are_ordered_too():
    question = "请解释疫苗如何保护人体免受感染。"
    good = (
        "疫苗让免疫系统学会识别病毒。\n1. 疫苗含有无害的病毒片段。\n"
        "2. 人体产生抗体和记忆细胞。\n3. 之后遇到感染时，人体能迅速反应，从而得到保护。"
    )
    refusal = "抱歉，作为一个AI，我无法回答这个问题。"
    repeated = "疫苗保护人体。" * 15
    scores = quality(question, good, refusal, repeated, "是")
    assert (scores[0] > scores[1:] + 0.3).all()


def test_bloat_is_not_rewarded():
    words = [f"vaccine{n} protects body{n} infection{n}" for n in range(4000)]
    fair, bloated = quality(QUESTION, ". ".join(words[:90]) + ".", ". ".join(words) + ".")
    assert fair > bloated


@pytest.mark.parametrize("blank", ["", " ", "\n\t \u3000"])
def test_quality_of_a_blank_response_has_no_score(blank):
    scores, statuses = HeuristicScorer("quality").score_turns([("Why?", blank), ("Why?", "So.")])
    assert statuses == ["empty_response", "ok"]
    assert np.isnan(scores[0])
    assert np.isfinite(scores[1])


def test_complexity_does_not_read_the_response():
    scores, statuses = HeuristicScorer("complexity").score_turns([(HARD, ""), (HARD, GOOD), ("", "")])
    assert scores[0] == scores[1]
    assert statuses == ["ok"] * 3


ODD = [
    "\x00",
    "a\x00b",
    "\U0001f600" * 50,
    "\ud800",
    "\u200d\ufe0f",
    "'",
    "\u0301",
    "```",
    "ก" * 90,
    "9" * 400,
]


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_odd_texts_get_a_score(text):
    for measure in ("complexity", "quality"):
        scores, statuses = HeuristicScorer(measure).score_turns(
            [(text, text), (QUESTION, text), (text, GOOD)]
        )
        assert statuses == ["ok"] * 3
        assert ((scores > 1) & (scores < 6)).all()


@settings(deadline=None, max_examples=150)
@given(st.text(max_size=200), st.text(max_size=200))
def test_scores_lie_between_1_and_6_and_repeat(instruction, response):
    for measure in ("complexity", "quality"):
        scorer = HeuristicScorer(measure)
        scores, statuses = scorer.score_turns(
            [(instruction, response), (HARD, GOOD), (instruction, response)]
        )
        assert statuses[0] == statuses[2]
        assert scores[0] == scores[2] or np.isnan(scores[[0, 2]]).all()
        assert (statuses[0] == "empty_response") == (measure == "quality" and not response.strip())
        given_scores = scores[np.isfinite(scores)]
        assert ((given_scores > 1) & (given_scores < 6)).all()


HUGE = {
    "letters": "a",
    "words": "why not compare, ",
    "spaces": "; \t",
    "brackets": "<a{",
    "newlines": "\n- ",
    "han": "证明，",
    "quotes": "it's'",
    "hashes": "# ",
    "marks": "e\u0301",
}


@pytest.mark.parametrize("unit", HUGE.values(), ids=HUGE)
def test_time_grows_no_faster_than_length(unit):
    scorer = HeuristicScorer("quality")

    def seconds(length):
        text = (unit * (length // len(unit) + 1))[:length]
        started = time.process_time()
        scores, _ = scorer.score_turns([(text, text + ".")])
        assert 1 < scores[0] < 6
        return time.process_time() - started

    seconds(10_000)
    # 1 MB: a quadratic scan would take minutes; measured 0.1 to 0.9 s.
    assert seconds(1_000_000) < 10


def test_thousands_of_turns_a_second():
    turns = [(QUESTION, GOOD)] * 2_000
    started = time.process_time()
    HeuristicScorer("quality").score_turns(turns)
    # Measured 19,000 turns/s on rows of 300 characters, one thread; this pair has 600. A tenth is the alarm.
    assert time.process_time() - started < 2.0


def test_no_turns_give_no_scores():
    scores, statuses = HeuristicScorer("quality").score_turns([])
    assert scores.shape == (0,)
    assert scores.dtype == np.float64
    assert statuses == []


def test_scores_are_pinned():
    # Changed numbers need a new algorithm version, because stored scores would silently mix with new ones.
    assert heuristic.ALGORITHM_VERSION == 1
    assert complexity(HARD, "hi").tolist() == [4.575357184, 1.282972831]
    assert quality(QUESTION, GOOD, OFF_TOPIC, "Yes.").tolist() == [5.049620282, 1.27769581, 1.645630803]


def test_an_unknown_measure_is_refused():
    with pytest.raises(UsageError, match="complexity, quality"):
        HeuristicScorer("beauty")


class TestFingerprint:
    def test_it_is_never_called_deita(self):
        fingerprint = HeuristicScorer("quality").fingerprint
        assert fingerprint.name == "heuristic"
        assert "deita" not in str(fingerprint.spec).lower()

    def test_the_measures_have_their_own(self):
        assert (
            HeuristicScorer("quality").fingerprint.digest != HeuristicScorer("complexity").fingerprint.digest
        )

    def test_a_changed_weight_or_word_changes_it(self, monkeypatch):
        before = HeuristicScorer("quality").fingerprint.digest
        monkeypatch.setattr(heuristic, "QUALITY_WEIGHTS", {**heuristic.QUALITY_WEIGHTS, "length": 2.6})
        changed = HeuristicScorer("quality").fingerprint.digest
        assert changed != before
        monkeypatch.setattr(heuristic_cues, "STOP_WORDS", heuristic_cues.STOP_WORDS + " moreover")
        assert HeuristicScorer("quality").fingerprint.digest not in (before, changed)
