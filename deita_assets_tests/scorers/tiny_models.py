"""Real causal language models and tokenizers, small enough to build inside a test."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from deita_assets.scorers.deita_prompt import PIECES

SENTENCES = [
    *("".join(pieces) for pieces in PIECES.values()),
    "Why is the sky blue? Because air scatters short waves more than long ones.",
    "Write a poem about the sea, in four lines, without the letter e.",
    "def add(a, b):\n    return a + b",
    "0 1 2 3 4 5 6 7 8 9",
]

NAMED_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


def save_tokenizer(folder: Path, *, split_digits: bool = True, bos: bool = True) -> Path:
    """Byte-level BPE with the special tokens <s> and </s>; with `split_digits` each digit is a token."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level]) if split_digits else byte_level
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
        )
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **NAMED_TOKENS).save_pretrained(folder)
    return folder


def save_llama(folder: Path, *, seed: int = 0, positions: int = 2048, sharded: bool = False) -> Path:
    """A LLaMA of 2 layers and hidden size 64 whose digit logits differ by several units."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **_sizes(), num_key_value_heads=2, max_position_embeddings=positions, tie_word_embeddings=False
    )
    return save_model(folder, LlamaForCausalLM, config, seed=seed, sharded=sharded)


def save_model(folder: Path, model_class, config, *, seed: int = 0, sharded: bool = False) -> Path:
    """Any architecture with random weights; the head is scaled up so that scores spread over 1 to 6."""
    import torch

    torch.manual_seed(seed)
    model = model_class(config).eval()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(40.0)
    model.save_pretrained(folder, max_shard_size="200KB" if sharded else "5GB")
    return folder


def _sizes() -> dict[str, int]:
    return {
        "vocab_size": 420,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }


def small_config(config_class, **options):
    """A configuration of another architecture with the sizes of `save_llama`."""
    return config_class(**{**_sizes(), "max_position_embeddings": 512, **options})


def save_llama_tokenizer(folder: Path) -> dict[str, int]:
    """A tokenizer laid out as LLaMA's: SentencePiece spaces, byte fallback, digits apart; gives its vocabulary."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;#\n?!'"
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", *letters]
    merges = [("t", "h"), ("th", "e"), ("\u2581", "\u2581"), ("C", "o"), ("\u2581", "the"), ("#", "#")]
    pieces += [first + second for first, second in merges]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    _save_sentencepiece(folder, vocabulary, merges)
    return vocabulary


def save_vocabulary_of_32000(folder: Path, places: dict[str, int]) -> None:
    """A tokenizer like `save_llama_tokenizer`, 32,000 tokens long, with some of them at given ids."""
    letters = [chr(code) for code in range(33, 127) if chr(code) not in places]
    firsts = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    free = iter(sorted(set(range(len(firsts), 32_000)) - set(places.values()), reverse=True))
    vocabulary = {piece: number for number, piece in enumerate(firsts)} | places
    vocabulary |= {letter: next(free) for letter in letters}
    vocabulary |= {f"filler {number}": number for number in free}
    _save_sentencepiece(folder, dict(sorted(vocabulary.items(), key=lambda entry: entry[1])), [])


def _save_sentencepiece(folder: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
    unknown = {"unk_token": "<unk>"}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, fuse_unk=True, **unknown))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {**NAMED_TOKENS, **unknown}
    settings = {"tokenizer_class": "LlamaTokenizer", "legacy": True, "model_max_length": 2048, **named}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
