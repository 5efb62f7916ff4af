"""The command ``simulate``: arguments in, the pipeline's report out, exit status 0, 1 or 2. DESIGN section 7.

Commands are plain functions in ``gatherline/commands/``, and ``COMMANDS`` lists them: a new one is a file and a line.
Only typer is imported at start, so that ``--help`` answers at once. Errors are one line on standard error: status 2
for a wrong input or argument, 1 for a run that failed, 130 for Ctrl-C. Nothing here computes.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

from gatherline.commands.advise import advise
from gatherline.commands.cache import cache
from gatherline.commands.energy import area, energy
from gatherline.commands.inspect import inspect
from gatherline.commands.list_ import list_
from gatherline.commands.measure import calibrate, validate
from gatherline.commands.prune import prune
from gatherline.commands.report import report
from gatherline.commands.run import run
from gatherline.commands.streams import replay, timeline, trace
from gatherline.commands.sweep import export, front, sweep
from gatherline.exit_status import FAILED, INTERRUPTED, SUCCESS, WRONG_INPUT
from gatherline.options import ArgumentError

COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (  # in the order of --help
    ("run", run),
    ("inspect", inspect),
    ("prune", prune),
    ("report", report),
    ("trace", trace),
    ("replay", replay),
    ("timeline", timeline),
    ("advise", advise),
    ("sweep", sweep),
    ("front", front),
    ("export", export),
    ("cache", cache),
    ("energy", energy),
    ("area", area),
    ("calibrate", calibrate),
    ("validate", validate),
    ("list", list_),
)

_MACHINE_ERRNOS = {
    errno.ENOSPC,
    errno.EIO,
    errno.EDQUOT,
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
    errno.EBUSY,
    errno.EFBIG,
}

app = typer.Typer(
    name="simulate",
    help="How fast a pruned network runs and how much memory it takes, for every pattern, sparsity and device.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"simulate {version('gatherline')}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Latency and memory of a pruned network, for every pattern, sparsity and device."""


for _name, _function in COMMANDS:
    app.command(_name)(_function)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. ``arguments`` defaults to those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = typer.main.get_command(app).main(given, prog_name="simulate", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush fails no more
        sys.exit(FAILED)  # as typer ends when the pipe breaks earlier
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if "--debug" in given:  # known before any command has parsed it, and after one has failed to
            import traceback

            traceback.print_exc()
        _fail(error, given)
    if status == INTERRUPTED:  # newer typer returns it, older raises
        print("simulate: interrupted", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else SUCCESS)


def _fail(error: Exception, given: Sequence[str]) -> NoReturn:
    """Print one line about ``error`` and exit with the status that it means."""
    from gatherline.report.selection import printable

    format_message = getattr(error, "format_message", None)  # typer's own errors
    if callable(format_message):
        if type(error).__name__ == "NoArgsIsHelpError":
            print(format_message(), file=sys.stderr)
            sys.exit(WRONG_INPUT)
        message, status = str(format_message()), WRONG_INPUT
        if isinstance(error, typer.BadParameter) and error.message:  # which doesn't always name the value
            message += f" (in: simulate {' '.join(given)})"
    elif isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        message = f"{where}{error.strerror or error}"
        status = FAILED if error.errno in _MACHINE_ERRNOS else WRONG_INPUT
    elif isinstance(error, (ArgumentError, *_input_errors())):
        message, status = str(error), WRONG_INPUT
    else:
        message, status = f"{type(error).__name__}: {error} (--debug shows where)", FAILED
    print(f"simulate: error: {printable(message)}", file=sys.stderr)
    sys.exit(status)


def _input_errors() -> tuple[type[Exception], ...]:
    from costmodel.technology import TechnologyError
    from costmodel.validation.measurement import ValidationError
    from gatherline.request_error import RequestError
    from patterns.base import PatternError
    from patterns.encodings.base import EncodingError
    from simulator.parallel import ThreadCountError
    from simulator.spec import DeviceError
    from traces.layer import ModelError
    from traces.ratios import RatioError
    from traces.stream import TraceError

    return (
        RequestError, ModelError, RatioError, PatternError, EncodingError, DeviceError, ThreadCountError, TraceError,
        TechnologyError, ValidationError,
    )  # fmt: skip
