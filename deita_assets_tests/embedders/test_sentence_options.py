"""Poolings, prompts, windows, headers and hub ids of sentence encoders."""

import shutil

import numpy as np
import pytest
import torch
import transformers

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders import load_embedder
from deita_assets.embedders.sentence import SentenceEmbedder
from deita_assets.errors import EmbedderError, UsageError
from deita_assets_tests.embedders.conftest import write

ROOM = 14  # of the tiny encoder's window of 16, two are special tokens
#: The two long ones differ by one token, so that they share a batch and one of them is padded.
TEXTS = ["one two three", "cat", "", "a b c d e f g h i j k l", "a b c d e f g h i j k l m", "déjà vu"]
LONG = "cat dog sun sea " * 9  # 36 tokens: windows of 14, 14 and 8
POOLINGS = {"mean": "mean", "cls": "cls", "last": "lasttoken"}


def cosines(one, other):
    one, other = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (one.astype(float), other))
    return (one * other).sum(axis=1)


def vector(folder, windows, pooling):
    """Token ids of windows, by the plainest calls: one window at a time, eager attention, pooling written out."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    total = np.zeros(32)
    for ids in windows:
        framed = [tokenizer.cls_token_id, *ids, tokenizer.sep_token_id]
        with torch.no_grad():
            states = model(torch.tensor([framed])).last_hidden_state[0].double().numpy()
        one = {"mean": states.mean(axis=0), "cls": states[0], "last": states[-1]}[pooling]
        total += len(framed) * one
    return total / np.linalg.norm(total)


def ids_of(folder, text):
    return transformers.AutoTokenizer.from_pretrained(folder)(text, add_special_tokens=False)["input_ids"]


def set_pooling(folder, pooling):
    write(
        folder / "1_Pooling" / "config.json", {"embedding_dimension": 32, "pooling_mode": POOLINGS[pooling]}
    )


class TestPooling:
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_short_texts_get_the_vectors_of_sentence_transformers(self, tiny, pooling):
        library = pytest.importorskip("sentence_transformers")
        set_pooling(tiny, pooling)
        expected = library.SentenceTransformer(str(tiny), device="cpu").encode(
            TEXTS, normalize_embeddings=True
        )
        vectors = SentenceEmbedder(tiny, batch_tokens=1_000).embed_texts(TEXTS)
        assert cosines(vectors, expected).min() >= 0.999999

    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_windows_of_a_long_text_weigh_by_their_tokens(self, tiny, pooling):
        set_pooling(tiny, pooling)
        ids = ids_of(tiny, LONG)
        expected = vector(tiny, [ids[:ROOM], ids[ROOM : 2 * ROOM], ids[2 * ROOM :]], pooling)
        assert cosines(SentenceEmbedder(tiny).embed_texts([LONG]), expected[None])[0] >= 0.999999

    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_a_vector_depends_on_no_other_row(self, tiny, pooling):
        set_pooling(tiny, pooling)
        texts = [*TEXTS, LONG]
        alone = np.concatenate([SentenceEmbedder(tiny).embed_texts([text]) for text in texts])
        assert np.abs(SentenceEmbedder(tiny, batch_tokens=9_999).embed_texts(texts) - alone).max() <= 2e-6

    def test_older_names_are_known(self, tiny):
        digests = set()
        for name in ("pooling_mode_cls_token", "pooling_mode_lasttoken", "pooling_mode_mean_tokens"):
            write(tiny / "1_Pooling" / "config.json", {name: True, "pooling_mode_max_tokens": False})
            digests.add(SentenceEmbedder(tiny).fingerprint.digest)
        assert len(digests) == 3

    def test_segments_are_parts_of_a_mean_only(self, tiny):
        set_pooling(tiny, "cls")
        with pytest.raises(EmbedderError, match="segments"):
            SentenceEmbedder(tiny).embed_segments(["a b"], [[1]])


class TestPrompt:
    @pytest.mark.parametrize("text", TEXTS[:4])
    def test_it_stands_before_a_text_as_in_sentence_transformers(self, tiny, text):
        library = pytest.importorskip("sentence_transformers")
        model = library.SentenceTransformer(str(tiny), device="cpu")
        expected = model.encode([text], prompt="sea: ", normalize_embeddings=True)
        vectors = SentenceEmbedder(tiny, prompt="sea: ").embed_texts([text])
        assert cosines(vectors, expected)[0] >= 0.999999
        assert cosines(SentenceEmbedder(tiny).embed_texts([text]), expected)[0] < 0.9999

    def test_every_window_begins_with_it(self, tiny):
        prompt, ids = ids_of(tiny, "sea:"), ids_of(tiny, LONG)
        room = ROOM - len(prompt)
        windows = [[*prompt, *ids[start : start + room]] for start in range(0, len(ids), room)]
        found = SentenceEmbedder(tiny, prompt="sea: ").embed_texts([LONG])
        assert cosines(found, vector(tiny, windows, "mean")[None])[0] >= 0.999999

    def test_the_folders_default_is_used_and_can_be_taken_away(self, tiny):
        prompts = {"prompts": {"document": "sea: ", "query": "x"}, "default_prompt_name": "document"}
        write(tiny / "config_sentence_transformers.json", prompts)
        by_folder, without = SentenceEmbedder(tiny), SentenceEmbedder(tiny, prompt="")
        assert by_folder.fingerprint == SentenceEmbedder(tiny, prompt="sea: ").fingerprint
        assert by_folder.fingerprint.digest != without.fingerprint.digest
        assert "prompt" not in without.fingerprint.spec
        write(tiny / "config_sentence_transformers.json", {**prompts, "default_prompt_name": None})
        assert SentenceEmbedder(tiny).fingerprint == without.fingerprint

    def test_one_that_its_encoder_would_not_pool_is_refused(self, tiny):
        write(tiny / "1_Pooling" / "config.json", {"pooling_mode": "mean", "include_prompt": False})
        assert SentenceEmbedder(tiny).dimension == 32
        with pytest.raises(UsageError, match="include_prompt"):
            SentenceEmbedder(tiny, prompt="sea: ")

    def test_one_that_fills_the_window_is_refused(self, tiny):
        with pytest.raises(EmbedderError, match="14 of the prompt"):
            SentenceEmbedder(tiny, prompt="sea " * 14).load()

    def test_it_counts(self, tiny):
        (plain,), (prompted,) = (
            SentenceEmbedder(tiny, prompt=prompt).count_tokens([Conversation((Message("user", "a b"),))])
            for prompt in ("", "sea: ")
        )
        assert (plain, prompted) == (2, 4)


class TestWindow:
    def test_max_length_sets_it(self, tiny):
        ids = ids_of(tiny, LONG)
        found = SentenceEmbedder(tiny, max_length=40)
        assert found.window == 40
        assert cosines(found.embed_texts([LONG]), vector(tiny, [ids], "mean")[None])[0] >= 0.999999
        assert found.fingerprint.digest != SentenceEmbedder(tiny).fingerprint.digest

    def test_it_ends_where_the_encoder_does(self, tiny):
        assert SentenceEmbedder(tiny, max_length=512).window == 512
        with pytest.raises(UsageError, match="at most 512"):
            SentenceEmbedder(tiny, max_length=513)
        write(tiny / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 128})
        with pytest.raises(UsageError, match="at most 128"):
            SentenceEmbedder(tiny, max_length=512)

    def test_positions_that_an_architecture_keeps_for_itself_are_not_counted(self, tmp_path):
        config = transformers.RobertaConfig(
            vocab_size=300,
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=4,
            intermediate_size=48,
            max_position_embeddings=66,
        )
        transformers.RobertaModel(config).save_pretrained(tmp_path)
        assert SentenceEmbedder(tmp_path).window == 64


class TestHeaders:
    HEADER = Message("system", "You are a helpful assistant with access to many tools.")
    SAID = (Message("user", "cat"), Message("assistant", "dog"))

    def test_the_text_of_the_policy_is_embedded(self, tiny):
        embedder = SentenceEmbedder(tiny, skip_shared_headers=True)
        with_header, without = (Conversation((*head, *self.SAID)) for head in ((self.HEADER,), ()))
        vectors = embedder.embed([with_header, without])
        assert np.allclose(vectors[0], vectors[1], rtol=0, atol=1e-6)
        assert np.allclose(vectors[0], embedder.embed_texts(["cat\n\ndog"])[0], rtol=0, atol=1e-6)
        assert not np.allclose(SentenceEmbedder(tiny).embed([with_header]), vectors[:1], rtol=0, atol=1e-3)
        assert embedder.count_tokens([with_header]) == [2]

    def test_it_has_a_fingerprint_of_its_own(self, tiny):
        skipping = SentenceEmbedder(tiny, skip_shared_headers=True).fingerprint
        assert skipping.spec["text_policy"] == "messages-without-headers-v1"
        assert skipping.digest != SentenceEmbedder(tiny).fingerprint.digest


class TestHub:
    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    @pytest.fixture
    def cache(self, tiny_folder, tmp_path, monkeypatch):
        """A hub cache that holds the tiny encoder as `someone/tiny-encoder`, with no network."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        repository = tmp_path / "hub" / "models--someone--tiny-encoder"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(self.COMMIT)
        shutil.copytree(tiny_folder, repository / "snapshots" / self.COMMIT)

    @pytest.mark.usefixtures("cache")
    @pytest.mark.parametrize("revision", [None, "main"])
    def test_a_cached_hub_model_embeds_offline_under_its_commit(self, tiny_folder, revision):
        embedder = load_embedder("sentence", model="someone/tiny-encoder", revision=revision)
        assert embedder.fingerprint.spec["model"] == "someone/tiny-encoder"
        assert embedder.fingerprint.spec["revision"] == self.COMMIT
        same = SentenceEmbedder(tiny_folder)
        assert np.array_equal(embedder.embed_texts(TEXTS), same.embed_texts(TEXTS))
        assert same.fingerprint.spec["model"] == "local"
        assert "revision" not in same.fingerprint.spec

    @pytest.mark.usefixtures("cache")
    def test_an_unknown_model_is_an_embedder_error_with_a_cure(self):
        with pytest.raises(EmbedderError) as caught:
            SentenceEmbedder("someone/else")
        assert caught.value.cure


def test_an_encoder_with_a_decoder_is_refused(tmp_path):
    config = transformers.T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_heads=4)
    transformers.T5Model(config).save_pretrained(tmp_path)
    with pytest.raises(EmbedderError, match="decoder"):
        SentenceEmbedder(tmp_path)


def test_a_device_that_is_not_there_is_named(tiny_folder):
    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(EmbedderError, match="cuda") as caught:
        SentenceEmbedder(tiny_folder, device="cuda").load()
    assert "cpu" in caught.value.cure
