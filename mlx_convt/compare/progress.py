"""What is being measured, on stderr."""

from __future__ import annotations

import shutil
import sys
import time

_CLEAR_LINE = "\r\x1b[K"


class Progress:
    """One rewritten line on a terminal, otherwise a line per step."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._done = 0
        self._what = ""
        self._start = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def step(self, what: str) -> None:
        self._done += 1
        self._what = what
        if not self._terminal:
            print(self._line(), file=sys.stderr, flush=True)

    def detail(self, text: str) -> None:
        if self._terminal:
            line = f"{self._line()}: {text}"
            columns = shutil.get_terminal_size().columns
            sys.stderr.write(_CLEAR_LINE + line[: columns - 1])
            sys.stderr.flush()

    def clear(self) -> None:
        if self._terminal:
            sys.stderr.write(_CLEAR_LINE)
            sys.stderr.flush()

    def _line(self) -> str:
        elapsed = time.monotonic() - self._start
        return f"[{self._done}/{self._steps}] {elapsed:3.0f} s  {self._what}"
