"""``python -m mlx_convt``: the comparison, or else ``bench`` or ``info``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    # Imported here: each command needs its own half.
    if arguments[:1] == ["bench"]:
        from mlx_convt.bench import cli as bench

        return bench.main(arguments[1:])
    if arguments[:1] == ["info"]:
        from mlx_convt import info

        return info.main(arguments[1:])
    from mlx_convt.compare import cli as compare

    return compare.main(arguments[arguments[:1] == ["compare"] :])


def run() -> int:
    """Ends quietly when whoever reads the output has had enough."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed from the start
            null = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, null)
    try:
        try:
            status = main(sys.argv[1:])
        finally:
            # Of --help too, which ends by SystemExit.
            sys.stdout.flush()
    except BrokenPipeError:
        # Nothing is left to be flushed to at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return status


if __name__ == "__main__":
    sys.exit(run())
