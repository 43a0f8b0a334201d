"""Find the command, parse, run, and say what went wrong in one line."""

from __future__ import annotations

import argparse
import os
import pkgutil
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import linnet
from linnet import commands
from linnet.errors import UserError
from linnet.options import use_file


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; 0 done, 1 the data is wrong, 2 asked wrongly, 130 interrupted."""
    argv = sys.argv[1:] if argv is None else argv
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    chosen = next((a for a in argv if not a.startswith("-")), "")
    try:
        args = _parser(chosen, argv).parse_args(argv)
        args.run(args)
        sys.stdout.flush()
        return 0
    except UserError as error:
        print(f"linnet: error: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, _Terminated):
        said = "nothing was written by halves; what keeps unfinished work goes on from it when given again"
        print(f"linnet: interrupted; {said}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"linnet: error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1


class _Terminated(Exception):
    """SIGTERM, with which clusters end what runs too long: clean up as on Ctrl-C."""


def _terminate(signal_number: int, frame: object) -> None:
    raise _Terminated


def _parser(chosen: str, argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with the options of the chosen command only: those of others may need slow imports."""
    only_file = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    only_file.add_argument("--config", type=Path, metavar="FILE", help="TOML with any of these flags, by name")
    parser = argparse.ArgumentParser(prog="linnet", description=(linnet.__doc__ or "").split("\n")[0])
    parser.add_argument("--version", action="version", version=f"linnet {linnet.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for found in pkgutil.iter_modules(commands.__path__):
        command = import_module(f"linnet.commands.{found.name}")
        text = command.__doc__ or ""
        sub = subparsers.add_parser(
            found.name,
            help=text.split("\n")[0],
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[only_file],
        )
        if found.name == chosen:
            command.add_options(sub)
            if file := only_file.parse_known_args(argv)[0].config:
                use_file(sub, file)
        sub.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
