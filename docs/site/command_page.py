"""The page of the command line: every command with its usage, arguments and options, from the command itself."""

from __future__ import annotations

from typing import Any


def command_page() -> str:
    """Return the page: exit status, then a section for each command in the order of ``--help``."""
    import typer

    from gatherline.cli import app

    group: Any = typer.main.get_command(app)
    lines = ["| command | what |", "|---|---|"]
    lines += [
        f"| [`simulate {name}`](#simulate-{name}) | {_cell(_help(command)[0])} |"
        for name, command in group.commands.items()
    ]
    parts = [
        "# The command line",
        """For people who run `simulate`. `simulate COMMAND --help` prints the same. Exit status: 0 good, 1 the run
failed, 2 the input or an argument is wrong, with one line that says what, where and which rule. `--debug`
adds the traceback.""",
        "\n".join(lines),
    ]
    for name, command in group.commands.items():
        parts += _section(name, command)
    return "\n\n".join(parts) + "\n"


def _section(name: str, command: Any) -> list[str]:
    context = command.make_context(f"simulate {name}", [], resilient_parsing=True)
    usage = " ".join(["simulate", name, *command.collect_usage_pieces(context)])
    parts = [f"## simulate {name}", *_help(command), f"```text\n{usage}\n```"]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and one.get_help_record(context)]
    if arguments:
        rows = [f"| `{_argument(one, context)}` | {_cell(one.help or '')} |" for one in arguments]
        parts.append("\n".join(["| argument | what |", "|---|---|", *rows]))
    if options:
        rows = [
            f"| `{one.get_help_record(context)[0]}` | {_cell(one.help or '')} | {_default(one)} |" for one in options
        ]
        parts.append("\n".join(["| option | what | default |", "|---|---|---|", *rows]))
    return parts


def _help(command: Any) -> list[str]:
    """Return the paragraphs of a command's docstring."""
    return [" ".join(text.split()) for text in (command.help or "").split("\n\n")]


def _argument(argument: Any, context: Any) -> str:
    """Return an argument's name as the usage has it, without the marks of one that must or may be given."""
    return str(argument.get_usage_pieces(context)[0]).strip("{}[]").removesuffix("]...")


def _default(option: Any) -> str:
    """Return the default of an option that has a value without being given; flags are off."""
    value = getattr(option.default, "value", option.default)
    given = value is not None and not isinstance(value, bool | tuple | list)
    return f"`{value}`" if given else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")
