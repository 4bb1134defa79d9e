"""The benchmark's end of a contestant's process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from mlx_convt.bench.contestants import Contestant


class Failure(Exception):
    """A contestant did not give an answer, and why."""


class NotPossible(Failure):
    """The library has no such operation."""


def environment(threads: int) -> dict[str, str]:
    """What tells each library how many threads to use."""
    count = str(threads)
    variables = {
        **os.environ,
        **dict.fromkeys(
            (
                "MLX_CONVT_NUM_THREADS",
                "MKL_NUM_THREADS",
                "NPROC",  # JAX
                "OMP_NUM_THREADS",
                "OPENBLAS_NUM_THREADS",
            ),
            count,
        ),
        # glibc returns blocks of 32 MiB to the system at once, and each result
        # would be fresh memory: all keep what they freed, as MLX is told to.
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
        "JAX_PLATFORMS": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    if threads == 1:
        variables["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )
    return variables


class Process:
    """Started at once; stopped except while it works on a command."""

    def __init__(
        self,
        contestant: Contestant,
        threads: int,
        cpus: Sequence[int],
        limit: float,
    ) -> None:
        self._limit = limit
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlx_convt.bench.worker"),
                *(contestant.code, str(os.getpid())),
                *map(str, cpus),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(threads),
            # Its own session: an interrupt is for the benchmark to handle.
            start_new_session=True,
        )
        try:
            self.ask("hello")
        except BaseException:
            self.kill()
            raise

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Lets it work on a command and returns its reply."""
        assert self._process.stdin is not None
        message = json.dumps({"do": command, **arguments}) + "\n"
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.write(message.encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failure(self._obituary()) from None
        reply: dict[str, Any] = json.loads(self._line())
        self._process.send_signal(signal.SIGSTOP)
        if "not_expressible" in reply:
            raise NotPossible(reply["not_expressible"])
        if "error" in reply:
            raise Failure(reply["error"])
        return reply

    def kill(self) -> None:
        """Works on stopped processes too, and on what they have forked."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._errors.close()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + self._limit
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                self.kill()
                raise Failure(f"no answer in {self._limit:g} s")
            part = os.read(fd, 1 << 16)
            if not part:
                raise Failure(self._obituary())
            line += part
        return line

    def _obituary(self) -> str:
        # It has closed its end: it is dead or dying.
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        last = said.splitlines()[-1] if said else ""
        if code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        else:
            how = f"exited with {code}"
        return f"{how}: {last}"[:500] if last else how
