"""Files that would run code, or never end, if they were read as what they say they are."""

import gzip
import io
import json
import os
import pickle
import re
import shutil
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import deita_assets
from deita_assets import parse_conversation
from deita_assets.core.hub_names import parse_hub_id
from deita_assets.core.limits import MIB, ReadLimits
from deita_assets.core.model_folder import weight_files
from deita_assets.embedders import load_embedder
from deita_assets.engines.hub import hub_files
from deita_assets.errors import EmbedderError, ScorerError, SourceFileError, UsageError
from deita_assets.scorers.deita import DeitaScorer
from deita_assets.scorers.distilled.head import load_head
from deita_assets.training.graded_set import read_graded_set
from deita_assets.training.labels import read_label_sets
from deita_assets_tests.engines.fake_hub import A, hub_id
from deita_assets_tests.faults.guarded import Case, Guarded, refused, unharmed
from deita_assets_tests.faults.input_home import published_home
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.scorers.tiny_models import save_llama, save_tokenizer

GROUP = "security"
#: What is left of the package when it is read as text: none of these may stand in it. The names are parted here, so
#: that this file could be searched as well.
FORBIDDEN = {
    "pickle": r"\b(c?pick" r"le|dill|shelve|marshal|joblib)\b(?!\w)",
    "torch.load": r"\btorch\.lo" r"ad\(|weights_only\s*=\s*False",
    "allow_pickle": r"allow_pick" r"le\s*=\s*True",
    "eval and exec": r"(?<![\w.])(ev" r"al|ex" r"ec|compile|__import__)\(",
    "a shell": r"shell\s*=\s*Tr" r"ue|os\.(system|popen)\(|getoutput\(",
    "yaml.load": r"\byaml\.(unsafe_|full_)?lo" r"ad\(|UnsafeLoader|FullLoader",
    "remote code": r"trust_remote_co" r"de\s*=\s*True|[\"']trust_remote_co" r"de[\"']\s*:\s*True",
    "all addresses": r"0\.0\." r"0\.0|host\s*=\s*[\"'][\"']",
}
TOKENIZER = "tokenizer_config.json"


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (open, (str(self.canary), "w"))


def evil(at):
    return pickle.dumps(Evil(at.canary))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tokenizer(save_llama(tmp_path_factory.mktemp("llama")))


def the_pickle_works(at):
    """The canary is worth something: read as a pickle, the file writes it."""
    pickle.loads(evil(at)).close()  # noqa: S301 - it is ours
    assert at.canary.exists()
    at.canary.unlink()


def model_copy(at):
    return Path(shutil.copytree(at.model, at.folder / "model"))


def scored(folder):
    """Loaded as a scorer and used."""
    scores, _ = DeitaScorer(folder).score_turns([("hi", "there")])
    assert np.isfinite(scores).all()


def embedded(folder):
    """Loaded as an embedder and used."""
    one = parse_conversation({"instruction": "hi", "output": "there"})
    return load_embedder("causal_lm", model=str(folder)).embed([one])


def loads(folder):
    scored(folder)
    return embedded(folder)


def both_refuse(folder, pattern):
    seen = [refused(lambda: scored(folder), pattern, ScorerError)]
    seen.append(refused(lambda: embedded(folder), pattern, EmbedderError))
    return "; ".join(seen)


def pickled_weights(at):
    the_pickle_works(at)
    folder = model_copy(at)
    (folder / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.pt", "model.pkl"):
        (folder / name).write_bytes(evil(at))
    return both_refuse(folder, "no safetensors weights found")


def pickles_beside(at):
    folder = model_copy(at)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl", "modules.pkl"):
        (folder / name).write_bytes(evil(at))
    loads(folder)
    return "loaded from safetensors, pickles not read"


def pickle_called_safetensors(at):
    folder = model_copy(at)
    (folder / "model.safetensors").write_bytes(evil(at))
    return both_refuse(folder, "the model cannot be loaded")


def remote_code(at):
    folder = model_copy(at)
    body = f"open({str(at.canary)!r}, 'w')\nfrom transformers import LlamaForCausalLM as Own, LlamaConfig as Cfg\n"
    for name in ("modeling_own", "configuration_own", "tokenization_own"):
        (folder / f"{name}.py").write_text(body)
    config = json.loads((folder / "config.json").read_text())
    own = {
        "AutoConfig": "configuration_own.Cfg",
        "AutoModel": "modeling_own.Own",
        "AutoModelForCausalLM": "modeling_own.Own",
    }
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    tokenizer |= {
        "tokenizer_class": "OwnTokenizer",
        "auto_map": {"AutoTokenizer": ["tokenization_own.Own", None]},
    }
    (folder / TOKENIZER).write_text(json.dumps(tokenizer))
    return both_refuse(folder, "cannot be loaded")


def poisoned_template(at):
    """`chat_template` is a program in Jinja; DEITA's prompts are constants, so that none is rendered."""
    folder = model_copy(at)
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    before = loads(folder)
    tokenizer["chat_template"] = (
        "{{ raise_exception('rendered') }}{{ ''.__class__.__mro__[1].__subclasses__() }}"
    )
    (folder / TOKENIZER).write_text(json.dumps(tokenizer))
    assert np.array_equal(before, loads(folder))
    return "not rendered; equal vectors"


def shards_elsewhere(at):
    folder = model_copy(at)
    (folder / "model.safetensors").rename(at.folder / "model.safetensors")
    for name in ("../model.safetensors", "/etc/passwd", "a/../../model.safetensors"):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
        with pytest.raises(ValueError, match="without folders"):
            weight_files(folder)
    return both_refuse(folder, "a file name without folders")


def pipes_in_a_model(at):
    """Whatever is a FIFO is no file: nothing waits for a writer that never comes."""
    seen = set()
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        folder = model_copy(at)
        (folder / name).unlink()
        os.mkfifo(folder / name)
        load = partial(scored, folder)
        seen.add(refused(load, "no [a-z.]+ [a-z ]*found|cannot be loaded", ScorerError))
        shutil.rmtree(folder)
    return "; ".join(sorted(seen))


def bomb(n_bytes):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        for _ in range(n_bytes // MIB):
            file.write(b" " * (MIB - 1) + b"\n")
    return packed.getvalue()


def odd_training_files(at):
    folder = at.folder / "labels"
    (folder / "quality").mkdir(parents=True)
    seen = set()

    def fifo(path):
        os.mkfifo(path)

    def device(path):
        path.symlink_to("/dev/zero")

    def pickled(path):
        path.write_bytes(evil(at))

    for make in (fifo, device, pickled):
        for name in ("a.jsonl", "a.jsonl.gz"):
            path = folder / "quality" / name
            make(path)
            seen.add(refused(lambda: read_label_sets(folder, "quality"), "cannot be read", UsageError))
            seen.add(refused(lambda: read_graded_set(path, "quality"), "cannot be read", UsageError))  # noqa: B023
            path.unlink()
        make(at.folder / "complexity.safetensors")
        seen.add(
            refused(
                lambda: load_head(at.folder / "complexity.safetensors"), "no (regular file|head)", ScorerError
            )
        )
        (at.folder / "complexity.safetensors").unlink()
    return "; ".join(sorted(seen))


def training_bomb(at):
    (at.folder / "labels" / "quality").mkdir(parents=True)
    (at.folder / "labels" / "quality" / "a.jsonl.gz").write_bytes(bomb(96 * MIB))
    return refused(lambda: read_label_sets(at.folder / "labels", "quality"), "cannot be read", UsageError)


def landing_bomb(at):
    packed = bomb(96 * MIB)
    at.study.land("t", "a.jsonl.gz", packed)
    reading = ReadLimits()
    assert len(packed) * reading.max_expansion < 96 * MIB
    return refused(lambda: at.study.read("t"), "times the size", SourceFileError)


def archive(name, content):
    made = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(made, "w") as file:
            file.writestr("../canary", content)
    else:
        with tarfile.open(fileobj=made, mode="w:gz") as file:
            member = tarfile.TarInfo("../canary")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return made.getvalue()


def npy(at):
    made = io.BytesIO()
    np.save(made, np.array([Evil(at.canary)], object), allow_pickle=True)
    return made.getvalue()


def pickled_sets(at):
    """Files that other tools would load: recognised by what they hold, whatever they are called."""
    found = {
        "a.pkl": evil(at), "a.pt": evil(at), "a.jsonl": evil(at), "a.json.gz": gzip.compress(evil(at)),
        "a.zip": archive("a.zip", b"{}"),
    }  # fmt: skip
    seen = set()
    for name, content in found.items():
        path = at.study.land("t", name, content)
        seen.add(refused(lambda: at.study.read("t"), r"is a (Python pickle|zip archive)", SourceFileError))
        path.unlink()
    return f"{'; '.join(sorted(seen))}; {len(found)} files"


def other_files(at):
    """What is not recognised is read as lines of JSON, which it is not."""
    script = f"open({str(at.canary)!r}, 'w')\n".encode()
    for name, content in {"a.npy": npy(at), "a.tar.gz": archive("a.tar.gz", b"{}"), "a.py": script}.items():
        at.study.land("t", name, content)
    report = at.study.read("t")
    assert report.n_pool == 0
    assert report.n_quarantined == report.n_read > 0
    return "; ".join(f"`{reason}`" for reason in sorted(report.quarantine_reasons))


def scripts_on_the_hub(at):
    """A dataset's script and pickles are no part of what is fetched."""
    at.hub.commits[A] = {"name.py": b"open('x', 'w')", "a.pkl": b"x", "data/a.jsonl": b"{}\n", "b.pt": b"x"}
    files = hub_files("t", parse_hub_id(hub_id()))
    assert [file.path for file in files] == ["data/a.jsonl"]
    return "listed: the JSON lines alone"


def no_such_words(at):
    package = Path(deita_assets.__file__).parent
    files = [path for path in package.rglob("*.py") if "__pycache__" not in path.parts]
    assert len(files) > 200
    found = [
        f"{path.relative_to(package)}:{number}: {what}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for what, pattern in FORBIDDEN.items()
        if re.search(pattern, line.partition("#")[0]) and not re.search(r"re\.comp" r"ile\(", line)
    ]
    assert [one for one in found if "pick" not in one or "import" in one] == []
    return f"none of {', '.join(FORBIDDEN)} in the code of the package"


def case(number, what, how, outcome, do):
    return Case(Fault(number, what, how, outcome), do)


CASES = [
    case("70a", "pickled weights in a model's folder", "alone", "refused", pickled_weights),
    case("70a", "pickled weights in a model's folder", "beside safetensors", "as usual", pickles_beside),
    case(
        "70a",
        "pickled weights in a model's folder",
        "called model.safetensors",
        "error",
        pickle_called_safetensors,
    ),
    case("70a", "code in a model's folder", "auto_map of config, model and tokenizer", "error", remote_code),
    case(
        "70a",
        "a shard outside of a model's folder",
        "`..` and absolute paths in the index",
        "refused",
        shards_elsewhere,
    ),
    case("70a", "a FIFO in a model's folder", "weights, config, tokenizer", "error", pipes_in_a_model),
    case("70a", "a pickled data set", "pickles by any name, a zip archive", "error", pickled_sets),
    case("70a", "a pickled data set", "NumPy objects, a tar archive, a script", "quarantined", other_files),
    case("70a", "a data set's script", "beside rows, on the hub", "as usual", scripts_on_the_hub),
    case("70a", "files of [training] that are none", "FIFOs, devices, pickles", "error", odd_training_files),
    case(
        "70a",
        "code that could run what it reads",
        "a search through the package",
        "impossible",
        no_such_words,
    ),
    case(
        "70b",
        "a program in a tokenizer's chat template",
        "Jinja that fails when it is rendered",
        "as usual",
        poisoned_template,
    ),
    case("9", "a file that expands without end", "gzip, 1,000 to one, in landing", "error", landing_bomb),
    case("9", "a file that expands without end", "gzip, 1,000 to one, in [training]", "error", training_bomb),
]


@pytest.fixture
def at(tmp_path, tmp_path_factory, migrated, model, hub):
    made = Guarded(published_home(tmp_path, tmp_path_factory, migrated), tmp_path)
    made.model, made.hub = model, hub
    return made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_untrusted_files(case, at, witness):
    with unharmed(at, case.fault):
        seen = case.do(at)
    witness(case.fault, seen)
