"""`ablate` killed again and again: `python -m tests.commands.killing FOLDER ARGUMENT…`, with the arguments of `ablate`.

Every command is a fork of this process, which has loaded the libraries once, and so is every run that `ablate` starts.
A moment is a number of changes to the ablation's files, whichever process makes them: no clock decides what a kill
meets. FOLDER/whole is left alone, FOLDER/killed-N are killed and finished in the end. Printed is JSON: how many changes
a whole ablation makes, and what each kill met.
"""

import importlib
import json
import os
import random
import signal
import sys
from multiprocessing.sharedctypes import RawArray, RawValue
from pathlib import Path
from types import SimpleNamespace

from kd_rag.__main__ import COMMANDS
from kd_rag.cli import main
from kd_rag.commands import _ablation_jobs

KILLS = 4 * [*5 * [os.killpg], os.kill]
"""Most strike the command and its run, some the command alone: its run goes on, and the next command meets it."""
CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink")
HEAVY = ("commands._objective", "commands._training", "commands.evaluate", "evaluation.ablation", "models.qwen2_vl")
for name in (*(f"kd_rag.{room}" for room in HEAVY), "peft", "torch.utils.tensorboard"):
    importlib.import_module(name)


class Fork:
    """A `subprocess.Popen` of `python -m kd_rag` without a new interpreter; all that is open is passed on."""

    def __init__(self, words, *, stdout, **_):
        self.returncode = None
        self.pid = os.fork()
        if not self.pid:
            finish(words[3:], stdout)

    def wait(self):
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


_ablation_jobs.subprocess = SimpleNamespace(Popen=Fork, DEVNULL=None, STDOUT=None)


def finish(words, log):
    """Run a command, with what it prints in `log`, and end this process."""
    code = 1
    try:
        for descriptor in (1, 2):
            os.dup2(log.fileno(), descriptor)
        code = main("kd_rag", COMMANDS, words)
        sys.stdout.flush()
    finally:
        os._exit(code)


def changed(event, arguments):
    """Return the path that the interpreter is about to change, None where it changes none."""
    if event == "open":
        path, _, flags = arguments
        return os.fsdecode(path) if flags & (os.O_WRONLY | os.O_RDWR) and not isinstance(path, int) else None
    if event not in CHANGES:
        return None
    path, folder = os.fsdecode(arguments[event in ("os.rename", "os.symlink")]), arguments[-1]
    return path if folder == -1 else str(Path(f"/proc/self/fd/{folder}").readlink() / path)


def ablate(out, arguments, moment=0, kill=os.killpg):
    """Run the command, killed in front of change number `moment`; return its exit code, the changes, what the kill met.

    TensorBoard's files are no moments: a thread writes them, which comes as far as the clock lets it.
    """
    count, met = RawValue("i", 0), RawArray("c", 500)
    child = os.fork()
    if not child:
        os.setsid()
        leader = os.getpid()

        def strike(event, values):
            path = changed(event, values)
            if path is None or not path.startswith(f"{out}/") or "tfevents" in path:
                return
            count.value += 1
            if count.value == moment:
                met.value = f"{'ablate' if os.getpid() == leader else 'run'}: {event} {path}".encode()
                kill(leader, signal.SIGKILL)

        sys.addaudithook(strike)
        with out.with_suffix(".log").open("ab") as log:
            finish(["ablate", "--out", str(out), *arguments], log)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), out.with_suffix(".log").read_text()
    return code, count.value, met.value.decode()


def killed(folder, arguments):
    """Kill until all kills have struck. Where an ablation ends before its moment, the next one is begun."""
    _, changes, _ = ablate(folder / "whole", arguments)
    moments, met, ablations = random.Random(20), [], 0
    while len(met) < len(KILLS):
        kill, moment = KILLS[len(met)], moments.randrange(1, changes // 2)  # so that most meet several kills
        code, _, what = ablate(folder / f"killed-{ablations}", arguments, moment, kill)
        if code:
            met.append({"alone": kill is os.kill, "met": what})
        else:
            ablations += 1
    ablate(folder / f"killed-{ablations}", arguments)
    return {"changes": changes, "kills": met}


if __name__ == "__main__":
    print(json.dumps(killed(Path(sys.argv[1]), sys.argv[2:])))
