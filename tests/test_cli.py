"""What a user meets first: fast help, exit codes, one clear sentence."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "chromadb",
    "lightning",
    "sentence_transformers",
    "omegaconf",
    "doctr",
    "PIL",
)


@pytest.mark.parametrize("argv", [["--help"], ["fit", "--help"], ["data", "sample", "--help"]])
@pytest.mark.parametrize("program", ["kd_rag", "kb_builder"])
def test_help_loads_nothing_heavy(program, argv):
    if program == "kb_builder" and argv[0] != "--help":
        argv = ["ingest", "--help"]
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['x', *{argv!r}]\n"
        f"try: runpy.run_module({program!r}, run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def run(*argv):
    return subprocess.run([sys.executable, "-m", "kd_rag", *argv], capture_output=True, text=True, check=False)


def test_options_lists_members_with_their_defaults():
    done = run("options", "divergences")
    assert done.returncode == 0
    assert "forward_kl: KL(p || q)" in done.stdout


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (["fit", "model.path=x", "nokey=1"], "there is no key 'nokey'"),
        (["fit", "model.path=x"], "run.name: is not set"),
        (["fit", "--config", "absent.yaml"], "absent.yaml: cannot be read"),
        (["evaluate", "--run", "absent"], "--run absent: is no run folder"),
        (["evaluate", "model.path=x"], "--out DIR is needed"),
        (["report", "absent", "--out", "out"], "absent: there is no such run folder"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_2(argv, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*argv)
    assert done.returncode == 2
    assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_verbose_shows_the_traceback(tmp_path):
    done = run("evaluate", "--run", str(tmp_path / "absent"), "--verbose")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
