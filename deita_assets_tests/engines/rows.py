"""Alpaca rows, good and bad, each with what must become of it."""

import hashlib
import json

#: The text of one line, and why it goes to quarantine. All are complete lines of a JSONL file.
BROKEN_LINES = [
    (b'{"instruction": "x", "output": "y"', "malformed_json"),
    (b"}{", "malformed_json"),
    (b'["instruction", "output"]', "not_an_object"),
    (b"17", "not_an_object"),
    (b'{"instruction": "\xff", "output": "y"}', "invalid_utf8"),
    (b'{"instruction": "x", "output": "\\ud83d"}', "lone_surrogate"),
    (b'{"instruction": "x", "output": "y", "score": NaN}', "non_finite_number"),
    (b'{"instruction": "x", "output": "y", "output": "z"}', "duplicate_key"),
    (b'{"instruction": "x", "output": "y", "n": ' + b"9" * 5000 + b"}", "number_out_of_range"),
    (b'{"instruction": "x", "output": ' + b"[" * 400 + b"]" * 400 + b"}", "too_deep"),
]
#: Rows that are JSON objects, and why they go to quarantine.
BAD_ROWS = [
    ({"instruction": "x", "output": ""}, "empty_response"),
    ({"instruction": "x", "output": " \n"}, "empty_response"),
    ({"instruction": "x", "output": None}, "missing_field"),
    ({"instruction": "x"}, "missing_field"),
    ({"prompt_number": 7}, "missing_field"),
    ({"instruction": "x", "output": 7}, "bad_content"),
    (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        "format_mismatch",
    ),
    ({"prompt": "x", "chosen": "y", "rejected": "z"}, "preference_pair"),
    ({"instruction": "x", "output": "y", "images": ["a.png"]}, "multimodal_unsupported"),
]


def good(n):
    """A row whose conversation depends on `n` alone."""
    return {"instruction": f"question {n} ä\u2028\U0001f600", "output": f"answer {n}\0\r\n"}


def rows_of(numbers):
    return [good(n) for n in numbers]


def canonical(n):
    """Canonical JSON of the conversation in row `n`, written out by hand."""
    row = {key: json.dumps(text, ensure_ascii=False) for key, text in good(n).items()}
    return (
        f'{{"messages":[{{"content":{row["instruction"]},"role":"user"}},'
        f'{{"content":{row["output"]},"role":"assistant"}}]}}'
    )


def content_sha256(n):
    return hashlib.sha256(canonical(n).encode()).hexdigest()


def sample_id(source, n):
    return f"{source}:{content_sha256(n)[:32]}"


def pool_version(numbers):
    """Identity of a pool that holds the rows of `numbers`."""
    lines = "\n".join(sorted({content_sha256(n) for n in numbers}))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def lines(*parts):
    """A JSONL file of rows and raw lines."""
    texts = [
        part if isinstance(part, bytes) else json.dumps(part, ensure_ascii=False).encode() for part in parts
    ]
    return b"".join(text + b"\n" for text in texts)
