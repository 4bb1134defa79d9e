"""Runs the C++ compiler, on several sources at once."""

import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from needs import missing


def compiler():
    """The command of g++, whose instrumentation the emulator lives on."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        missing("emulator", "the emulator runs on Linux on x86-64")
    command = shlex.split(os.environ.get("CXX", "")) or ["c++"]
    if shutil.which(command[0]) is None:
        missing("emulator", f"no C++ compiler: {command[0]} is not there")
    version = subprocess.run(
        [*command, "--version"], capture_output=True, text=True, check=True
    )
    if "clang" in version.stdout:
        missing("emulator", "the emulator needs g++, and c++ is clang")
    return command


def compile_all(jobs):
    """Make the objects of (flags, source, object) that are not there."""
    command = compiler()

    def compile_one(job):
        flags, source, to = job
        if not to.exists():
            with whole(to) as partial:
                run([*command, *flags, "-c", source, "-o", partial])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(compile_one, jobs))


def link(objects, library):
    with whole(library) as partial:
        run([*compiler(), "-shared", *objects, "-ldl", "-o", partial])


@contextlib.contextmanager
def whole(file):
    """A name to write to, renamed then: others may look for the file."""
    partial = file.with_suffix(f".{os.getpid()}")
    yield partial
    partial.rename(file)


def run(command):
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(map(str, command))}\n{done.stderr}")


def texts_of(*files):
    return [file.read_text() for file in sorted(files)]


def digest(*parts):
    text = "\0".join(
        part if isinstance(part, str) else "\0".join(part) for part in parts
    )
    return hashlib.sha256(text.encode()).hexdigest()[:24]
