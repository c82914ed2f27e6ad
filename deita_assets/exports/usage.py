"""How trainers read an export: a few lines for each, or why another form is the one to take.

What belongs here: snippets that hold for the rows at hand; each was run against the trainer that it names. What does
not: what was selected and why (card).
"""

from __future__ import annotations

import json
from typing import Any, Final

from deita_assets.exports.survey import Survey

TRL, AXOLOTL, LLAMA_FACTORY, FASTCHAT = "TRL", "axolotl", "LLaMA-Factory", "FastChat"
_TAKE_HF: Final = "Take `--format hf` (or `jsonl`)"

_TRL_MESSAGES: Final = """\
```python
from datasets import load_dataset
from trl import SFTTrainer

rows = load_dataset("THIS_FOLDER", split="train")
SFTTrainer(model="MODEL", train_dataset=rows).train()
```"""
_TRL_SHAREGPT: Final = """\
```python
from datasets import load_dataset
from trl import SFTTrainer

ROLES = {"system": "system", "human": "user", "gpt": "assistant"}

def messages(row):
    said = [{"role": ROLES[m["from"]], "content": m["value"]} for m in row["conversations"]]
    system = row.get("system")
    return {"messages": [{"role": "system", "content": system}, *said] if system else said}

rows = load_dataset("THIS_FOLDER", split="train")
rows = rows.map(messages, remove_columns=rows.column_names)
SFTTrainer(model="MODEL", train_dataset=rows).train()
```"""
_TRL_ALPACA: Final = """\
```python
from datasets import load_dataset
from trl import SFTTrainer

def messages(row):
    texts = [text for pair in row.get("history") or [] for text in pair] + [row["instruction"], row["output"]]
    said = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    system = row.get("system")
    return {"messages": [{"role": "system", "content": system}, *said] if system else said}

rows = load_dataset("THIS_FOLDER", split="train")
rows = rows.map(messages, remove_columns=rows.column_names)
SFTTrainer(model="MODEL", train_dataset=rows).train()
```"""
_AXOLOTL_MESSAGES: Final = """\
```yaml
datasets:
  - path: THIS_FOLDER
    split: train
    type: chat_template
```"""
_AXOLOTL_SHAREGPT: Final = """\
```yaml
datasets:
  - path: THIS_FOLDER
    split: train
    type: chat_template
    field_messages: conversations
    message_property_mappings:
      role: from
      content: value
```"""
_AXOLOTL_ALPACA: Final = """\
```yaml
datasets:
  - path: THIS_FOLDER
    split: train
    type: alpaca
```"""
_FASTCHAT: Final = """\
FastChat reads one JSON list:

```bash
python -c 'import json; json.dump([json.loads(line) for line in open("train.jsonl")], open("train.json", "w"))'
```"""


def usage_lines(form: str, found: Survey, dataset: str) -> list[str]:
    """The section of a card that says how to train on an export.

    Args:
        form: what was asked for, such as `hf`.
        found: the survey of its rows.
        dataset: what LLaMA-Factory is to call it.
    """
    trainers = {
        TRL: _trl(found),
        AXOLOTL: _axolotl(found),
        LLAMA_FACTORY: _llama_factory(form, found, dataset),
    }
    if found.shape == "sharegpt" and not _calls(found):
        trainers[FASTCHAT] = _FASTCHAT + (
            "\n\nIt leaves the `system` texts out: its template has one of its own."
            if "system" in found.keys
            else ""
        )
    return [line for name, text in trainers.items() for line in (f"### {name}", "", text, "")][:-1]


def llama_factory_entry(form: str, found: Survey) -> dict[str, Any] | None:
    """An entry of `dataset_info.json` for an export; None where LLaMA-Factory would not read it right."""
    if found.shape == "messages":
        if not found.plain or "tools" in found.keys:
            return None
        tags = {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        }
        file = {"jsonl": "train.jsonl"}.get(form, "data")
        return {
            "file_name": file,
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": tags,
        }
    if found.shape == "sharegpt":
        columns = {"messages": "conversations", **_named(found, "system", "tools")}
        return {"file_name": "train.jsonl", "formatting": "sharegpt", "columns": columns}
    prompt = {"prompt": "instruction", "query": "input", "response": "output"}
    return {"file_name": "train.jsonl", "columns": {**prompt, **_named(found, "system", "history")}}


def _named(found: Survey, *keys: str) -> dict[str, str]:
    return {key: key for key in keys if key in found.keys}


def _calls(found: Survey) -> bool:
    return found.has_calls or "tools" in found.keys


def _trl(found: Survey) -> str:
    if found.shape == "messages":
        return _TRL_MESSAGES
    if found.shape == "alpaca":
        return _TRL_ALPACA
    return (
        f"{_TAKE_HF}: these rows call tools, which TRL reads as `messages` only."
        if _calls(found)
        else _TRL_SHAREGPT
    )


def _axolotl(found: Survey) -> str:
    if found.shape == "messages":
        return _AXOLOTL_MESSAGES
    if found.shape == "alpaca":
        lost = [key for key in ("system", "history") if key in found.keys]
        return (
            f"{_TAKE_HF}: axolotl's `alpaca` reads no {' and no '.join(lost)}." if lost else _AXOLOTL_ALPACA
        )
    if _calls(found):
        return f"{_TAKE_HF}: these rows call tools, which axolotl reads as `messages` only."
    if "system" in found.keys:
        return (
            _AXOLOTL_SHAREGPT
            + "\n\nRows without a system text get an empty one here; `--format hf` gives them none."
        )
    return _AXOLOTL_SHAREGPT


def _llama_factory(form: str, found: Survey, dataset: str) -> str:
    entry = llama_factory_entry(form, found)
    if entry is None:
        return "Take `--format llamafactory`: these rows have tools, which it reads in ShareGPT form."
    use = f"```yaml\ndataset_dir: THIS_FOLDER\ndataset: {dataset}\n```"
    if form == "llamafactory":
        return use
    shown = json.dumps({dataset: entry}, indent=2)
    drops = (
        "\n\nRows whose messages do not alternate are dropped by it; `--format llamafactory` says which."
        if found.shape == "messages"
        else ""
    )
    return f"`dataset_info.json` beside the rows:\n\n```json\n{shown}\n```\n\nand\n\n{use}{drops}"
