"""`deita-assets`: the command line. Commands load when they are called, so that `--help` stays fast.

What belongs here: the list of commands and the last line of defence for errors. What does not: any command.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from typing import Any

import click

from deita_assets.errors import DeitaError

#: Command -> (module, one line of help). In the order in which a newcomer meets them.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Run the whole graph on the bundled pool and show what came out."),
    "add": ("add", "Add files to a source: copied into landing, parsed, counted."),
    "estimate": ("estimate", "What scoring and embedding would still take."),
    "curate": ("curate", "Score, embed and select: publish subsets of the given budgets."),
    "calibrate": ("calibrate", "What other similarity thresholds would keep, and which one fits."),
    "status": ("status", "Sources, what is stale, and the current selections."),
    "rows": ("rows", "Rows of a scope by verdict, score or similarity."),
    "explain": ("explain", "Why a row is in or out."),
    "sql": ("sql", "Query the published catalog."),
    "selections": ("selections", "Selection versions."),
    "diff": ("diff", "What changed from one selection version to another, and why."),
    "reproduce": ("reproduce", "Rebuild a selection version from the stores and compare."),
    "export": ("export", "Write a selection version for a trainer, in one of six forms."),
    "atlas": ("atlas", "Look at a selection or a pool as a map, in the browser."),
    "quarantine": ("quarantine", "Rows that could not be read, and why."),
    "withdraw": ("withdraw", "Take files out of a source; reversible."),
    "takedown": ("takedown", "Keep rows out of every future selection; permanent."),
    "compact": ("compact", "Merge small fragments of the stores and drop their old editions."),
    "verify": ("verify", "Audit the stores and subsets row by row, and repair what is damaged."),
    "doctor": ("doctor", "Check this machine, this home and its stores."),
    "dev": ("dev", "Dagster UI and daemon on loopback."),
}

_INTERRUPTED = ("Interrupted", "stopped by hand.", "Run the same command again: it resumes.", 1)


class LazyGroup(click.Group):
    """A group whose commands are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in reading order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"deita_assets.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="deita-assets")
@click.option("--home", type=click.Path(), help="Home folder [default: $DEITA_HOME or ./deita_home].")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout; progress and logs on stderr."
)
@click.pass_context
def cli(ctx: click.Context, home: str | None, as_json: bool) -> None:
    """Pick the few thousand conversations worth fine-tuning on, and know why every row is in or out."""
    ctx.obj = {"home": home, "json": as_json}


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the console script."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = cli.main(args=given, standalone_mode=False)
    except DeitaError as error:
        _fail(given, type(error).__name__, error.message, error.cure, error.exit_code)
    except click.exceptions.Abort:
        _fail(given, *_INTERRUPTED)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f"See `{context.command_path} --help`." if context else ""
        _fail(given, "UsageError", error.format_message(), hint, 2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if str(error) == "Query interrupted":  # what DuckDB makes of Ctrl-C
            _fail(given, *_INTERRUPTED)
        traceback.print_exc()
        _fail(
            given,
            type(error).__name__,
            str(error),
            "This is a fault of deita_assets; please report the above.",
            1,
        )
    sys.exit(code if isinstance(code, int) else 0)


def _fail(arguments: list[str], kind: str, message: str, cure: str, code: int) -> None:
    from deita_assets.cli.session import json_text, printable

    document: dict[str, Any] = {"error": kind, "message": message, "cure": cure}
    if "--json" in arguments:
        sys.stdout.write(json_text(document) + "\n")
    else:
        sys.stderr.write(printable(f"error: {message}\n" + (f"  cure: {cure}\n" if cure else "")))
    sys.exit(code)
