"""Settings: `deita.toml` in the home, overridden by `DEITA_*` variables; unknown keys are refused.

Settings are read when a command or a run starts, never when definitions load, so that a changed threshold needs no
reload. Precedence: environment, then file, then the defaults below.

What belongs here: names, types, defaults. What does not: what a setting does.
"""

from __future__ import annotations

import os
import tomllib
from typing import Annotated, Any, Literal

import pydantic_settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from deita_assets.core.hub_names import parse_hub_id
from deita_assets.core.names import validate_budget, validate_mixture_name, validate_source_name
from deita_assets.core.quarantine_limit import ROWS, SHARE, QuarantineLimit
from deita_assets.errors import InvalidNameError, SettingsError
from deita_assets.stores.home import HOME_VARIABLE, Home

#: Address that alerts are posted to; a secret, hence no setting: it stands in no file, error, metadata or listing.
WEBHOOK_VARIABLE = "DEITA_ALERT_WEBHOOK"
#: The mixture that always exists: every source with rows in its pool.
ALL = "all"

Aggregation = Literal["sum", "mean", "max", "first", "last"]
SelectorName = Literal["repr_filter", "score_only", "random", "k_center", "facility_location"]
Threshold = Annotated[float, Field(gt=-1, le=1)]
Share = Annotated[float, Field(ge=0, le=1)]


def _budgets(values: list[int]) -> list[int]:
    for value in values:
        validate_budget(str(value))
    return sorted(set(values))


Budgets = Annotated[list[int], AfterValidator(_budgets)]


def _hub_id(value: str) -> str:
    parse_hub_id(value)
    return value


HubName = Annotated[str, AfterValidator(_hub_id)]


def _no_address(value: str) -> str:
    if "://" in value:
        raise InvalidNameError(
            "found an address, expected a folder or file, or for models a hub id such as ORG/NAME.",
            cure="Nothing is fetched from addresses. It is kept out of this message, for it may hold a password.",
        )
    return value


#: A folder or file on this machine, or the hub id of a model.
Place = Annotated[str, AfterValidator(_no_address)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FilterSettings(_Section):
    """Which rows of a scope may be selected at all; the others stay in its ledger as `excluded`. None is no limit."""

    min_chars: int | None = Field(default=None, ge=0)
    max_chars: int | None = Field(default=None, ge=1)
    min_turns: int | None = Field(default=None, ge=1)
    max_turns: int | None = Field(default=None, ge=1)
    last_message_assistant: bool = False
    #: ISO 639-1 codes; a row's own label counts, other rows are recognised (extra `language`).
    languages: list[str] | None = None
    licences: list[str] | None = None
    #: `with` or `without` tools.
    tools: Literal["with", "without"] | None = None
    #: Leave out answers that refuse, and answers that speak of themselves as a language model.
    refusals: bool = False
    boilerplate: bool = False
    #: Further phrases, looked for in answers without regard to case.
    phrases: list[str] = []


class ContaminationSettings(_Section):
    """How near a row may come to an exclusion set."""

    #: Words in a row that an instruction may not share with one of an exclusion set; None switches this off.
    ngram: int | None = Field(default=13, ge=3)
    #: Cosine similarity above which a row counts as contaminated; None switches this off.
    similarity: Threshold | None = None


class SelectionSettings(_Section):
    """How one scope is selected; None means the platform's default."""

    threshold: Threshold | None = None
    aggregation: Aggregation = "sum"
    budgets: Budgets | None = None
    selector: SelectorName = "repr_filter"
    #: Of `random`.
    seed: int = Field(default=0, ge=0)
    filters: FilterSettings = FilterSettings()
    #: A condition in SQL over the columns of `pool` and `scored_pool`.
    where: str | None = None
    #: A selection version whose rows stay, in their order, before anything else is chosen.
    frozen_base: str | None = None
    #: Sources that no selected row may resemble; None means the common ones.
    exclusion_sets: list[str] | None = None
    contamination: ContaminationSettings = ContaminationSettings()


class SourceSettings(SelectionSettings):
    """One source: how it is read, its licence, and how it is selected."""

    licence: str | None = None
    format: str | None = None
    field_map: dict[str, str] = Field(default_factory=dict)
    #: Where it comes from: `hf://datasets/ORG/NAME@REVISION`, with a path or pattern behind it if not all is wanted.
    hub: HubName | None = None
    #: None means the common ones.
    quarantine_limit: Share | None = None
    quarantine_rows: int | None = Field(default=None, ge=1)


class MixtureSettings(SelectionSettings):
    """A named list of sources that are selected together; no `sources` means all of them.

    Of rows that are equal in several sources the first source of the list gives its own.
    """

    sources: list[str] | None = None
    #: Rows of a source at most, whatever the budget.
    caps: dict[str, Annotated[int, Field(ge=0)]] = {}
    #: Share of the budget that a source may fill at most, and rows that it gets at least. One pass for each budget.
    shares: dict[str, Share] = {}
    floors: dict[str, Annotated[int, Field(ge=0)]] = {}


class ScorerSettings(_Section):
    """Which scorer, and for causal-LM scorers which models and how they run."""

    name: Literal["distilled", "heuristic", "deita"] = "distilled"
    #: Folder with `complexity.safetensors` and `quality.safetensors` of `distilled`; the shipped heads by default.
    heads: Place | None = None
    complexity_model: Place | None = None
    quality_model: Place | None = None
    #: Of hub ids; a measure's own one wins over the common one.
    revision: str | None = None
    complexity_revision: str | None = None
    quality_revision: str | None = None
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    max_length: int = Field(default=2048, ge=64)
    truncation: str = "middle"


class EmbedderSettings(_Section):
    """Which embedder; `sentence` and `causal_lm` take a model's folder or hub id."""

    name: Literal["minilm", "sentence", "causal_lm"] = "minilm"
    model: Place | None = None
    device: str = "cpu"
    revision: str | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    #: Tokens in one window; None for what the model's folder says, 2,048 for `causal_lm`.
    max_length: int | None = Field(default=None, ge=16)
    #: Of `causal_lm`, whose conversations end at the window.
    truncation: Literal["middle", "right"] = "middle"
    #: Of sentence encoders; None for the folder's own.
    prompt: str | None = None
    skip_shared_headers: bool = False
    backend: Literal["torch", "openvino"] = "torch"


class TrainingSettings(_Section):
    """What the assets of group `scorer_training` learn from and judge with; None means the shipped graded set."""

    complexity_set: Place | None = None
    quality_set: Place | None = None
    #: Folder with labelled sets of other people, `complexity/*.jsonl` and `quality/*.jsonl`, to judge with.
    labels: Place | None = None


class DeitaSettings(BaseSettings):
    """Everything a user may set."""

    model_config = SettingsConfigDict(
        env_prefix="DEITA_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    budgets: Budgets = []
    scorer: ScorerSettings = ScorerSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    training: TrainingSettings = TrainingSettings()
    sources: dict[str, SourceSettings] = {}
    mixtures: dict[str, MixtureSettings] = {}
    #: Sources to keep selections clear of, such as evaluation sets; they are in no mixture that does not name them.
    exclusion_sets: list[str] = []
    #: An ingest is refused when more than this share of the rows that it reads, and at least so many, are malformed.
    quarantine_limit: Share = SHARE
    quarantine_rows: int = Field(default=ROWS, ge=1)
    #: Ledgers kept whole for each scope besides those that something current stands on.
    keep_ledgers: int = Field(default=5, ge=0)
    #: Where a selection compares vectors: `cpu`, or a torch device. It has no influence on what is selected.
    selection_device: str = "cpu"
    #: Show the first words of near-duplicates in the Dagster UI and in dataset cards; switch off for confidential
    #: pools.
    sample_rows_in_ui: bool = True
    #: Refuse to publish or export rows of sources whose licence nobody said.
    require_licence: bool = False

    @field_validator("sources")
    @classmethod
    def _source_names(cls, value: dict[str, SourceSettings]) -> dict[str, SourceSettings]:
        for name in value:
            validate_source_name(name)
        return value

    @field_validator("mixtures")
    @classmethod
    def _mixture_names(cls, value: dict[str, MixtureSettings]) -> dict[str, MixtureSettings]:
        for name in value:
            validate_mixture_name(name)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment above the file, whose values arrive as the init arguments."""
        return env_settings, init_settings

    def source(self, name: str) -> SourceSettings:
        """Settings of one source; defaults when it has none."""
        return self.sources.get(name, SourceSettings())

    def malformed_allowed(self, source: str) -> QuarantineLimit:
        """How many malformed rows an ingest of a source may bring: its own limit, else the common one."""
        own = self.source(source)
        return QuarantineLimit(
            self.quarantine_limit if own.quarantine_limit is None else own.quarantine_limit,
            self.quarantine_rows if own.quarantine_rows is None else own.quarantine_rows,
        )

    def mixture(self, name: str) -> MixtureSettings:
        """Settings of one mixture.

        Raises:
            SettingsError: the mixture is not defined.
        """
        if name in self.mixtures:
            return self.mixtures[name]
        if name == ALL:
            return MixtureSettings()
        try:
            validate_mixture_name(name)
        except InvalidNameError as error:  # a partition that was added by hand
            raise SettingsError(error.message, cure=error.cure) from error
        raise SettingsError(
            f"mixture {name!r} is not defined; known: {', '.join(self.mixture_names)}.",
            cure=f"Add to deita.toml: [mixtures.{name}] with sources = [...].",
        )

    @property
    def mixture_names(self) -> list[str]:
        """Every mixture, `all` included."""
        return sorted({ALL, *self.mixtures})

    def selection(self, scope_kind: str, scope: str) -> SelectionSettings:
        """How a scope is selected."""
        return self.source(scope) if scope_kind == "source" else self.mixture(scope)

    def wanted_budgets(self, scope_kind: str, scope: str) -> list[int]:
        """Budgets that settings name for a scope: its own, else the common ones."""
        own = self.selection(scope_kind, scope).budgets
        return list(self.budgets if own is None else own)

    def scope_exclusion_sets(self, scope_kind: str, scope: str) -> list[str]:
        """Sources that a scope keeps clear of, in name order: its own list, else the common one."""
        own = self.selection(scope_kind, scope).exclusion_sets
        return sorted(set(self.exclusion_sets if own is None else own) - {scope})

    @property
    def exclusion_sources(self) -> set[str]:
        """Every source that any scope keeps clear of; rows without an answer are welcome in them."""
        scopes = [*self.sources.values(), *self.mixtures.values()]
        return set(self.exclusion_sets).union(*(scope.exclusion_sets or [] for scope in scopes))

    def mixture_sources(self, name: str, known: list[str]) -> list[str]:
        """Sources of a mixture out of the `known` ones, in order.

        Raises:
            SettingsError: it names a source that does not exist.
        """
        named = self.mixture(name).sources
        if named is None:
            # Those of any scope: a mixture that keeps clear of other sets has not asked for these.
            return [source for source in known if source not in self.exclusion_sources]
        missing = sorted(set(named) - set(known))
        if missing:
            raise SettingsError(
                f"mixture {name!r} names unknown sources: {', '.join(missing)}; known: {', '.join(known) or 'none'}.",
                cure="Add them with `deita-assets add SOURCE PATH`, or correct deita.toml.",
            )
        return list(named)


_PLACES = "deita.toml or a DEITA_* variable"
#: Model of the keys below each top-level table.
_SECTIONS: dict[str, type[BaseModel]] = {
    "scorer": ScorerSettings,
    "embedder": EmbedderSettings,
    "training": TrainingSettings,
    "sources": SourceSettings,
    "mixtures": MixtureSettings,
}
_SUBSECTIONS: dict[str, type[BaseModel]] = {"filters": FilterSettings, "contamination": ContaminationSettings}


def load_settings(home: Home) -> DeitaSettings:
    """Read `deita.toml` of a home and the environment.

    Raises:
        SettingsError: an unknown key or a wrong value, with its place.
    """
    _refuse_unknown_variables()
    written = _written(home)
    try:
        settings = DeitaSettings(**written)
    except InvalidNameError as error:
        raise SettingsError(f"{_PLACES}: {error.message}", cure=error.cure) from error
    except ValidationError as error:
        raise _wrong_value(error) from error
    except pydantic_settings.SettingsError as error:
        raise SettingsError(
            f"{error}: {error.__cause__}.",
            cure="Lists and tables in variables are JSON, such as [100, 1000].",
        ) from error
    _refuse_shared_names(settings)
    return settings


def _written(home: Home) -> dict[str, Any]:
    """The keys of `deita.toml`; refused here when unknown, because pydantic takes `_names` for its own options."""
    try:
        keys = tomllib.loads(home.settings.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(
            f"deita.toml cannot be read: {error.strerror}.",
            cure="Make it a file that may be read, or remove it.",
        ) from error
    except RecursionError as error:
        raise SettingsError("deita.toml is nested too deeply.", cure="Correct its brackets.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"deita.toml is not TOML in UTF-8: {error}.", cure="Correct that line."
        ) from error
    for key in keys:
        if key not in DeitaSettings.model_fields:
            raise SettingsError(f"deita.toml: {key!r} is not a setting.", cure=_known_keys(DeitaSettings))
    return keys


def _refuse_shared_names(settings: DeitaSettings) -> None:
    shared = sorted(set(settings.sources) & set(settings.mixture_names))
    if shared:
        raise SettingsError(f"{', '.join(shared)}: both a source and a mixture.", cure="Rename the mixture.")


def _wrong_value(error: ValidationError) -> SettingsError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return SettingsError(f"{_PLACES}: {place}: {first['msg']}.", cure="Correct that value.")
    parts = [_SUBSECTIONS[str(part)] for part in first["loc"] if part in _SUBSECTIONS]
    section = parts[-1] if parts else _SECTIONS[str(first["loc"][0])]
    return SettingsError(f"{_PLACES}: {place} is not a setting.", cure=_known_keys(section))


def _known_keys(section: type[BaseModel]) -> str:
    return f"Known: {', '.join(section.model_fields)}."


def _refuse_unknown_variables() -> None:
    known = tuple(f"DEITA_{name.upper()}" for name in DeitaSettings.model_fields)
    for variable in sorted(os.environ):
        other = variable in (HOME_VARIABLE, WEBHOOK_VARIABLE)
        if variable.startswith("DEITA_") and not other and not _is_known(variable, known):
            raise SettingsError(
                f"{variable} is not a setting.",
                cure=f"Known: {HOME_VARIABLE}, {', '.join(known)} (nested with __), {WEBHOOK_VARIABLE}.",
            )


def _is_known(variable: str, known: tuple[str, ...]) -> bool:
    return any(variable == name or variable.startswith(f"{name}__") for name in known)


def setting_values(section: BaseModel) -> dict[str, Any]:
    """A section as JSON values, for digests and metadata."""
    return section.model_dump(mode="json")
