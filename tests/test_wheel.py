"""A built wheel, installed in an empty virtual environment, works from an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

USE = """
import sys, pathlib
import gymnasium as gym, music_env
here = pathlib.Path(music_env.__file__).resolve()
assert pathlib.Path(sys.prefix).resolve() in here.parents, here
env = gym.make("MusicRec-v0")
env.reset(seed=0)
print(env.unwrapped.catalogue.n_tracks, [env.step(1)[4]["track_index"] for _ in range(3)])
assert "torch" not in sys.modules
import agents
model = agents.DuelingDQN(env=gym.make("MusicRec-v0", encoding="codes"), seed=0, learning_starts=50)
model.learn(100)
assert (here.parent / "py.typed").is_file()
"""


@pytest.mark.slow
def test_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env=_clean_environment()
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path / "dist"), str(ROOT))
    (wheel,) = (tmp_path / "dist").glob("musicrec-*.whl")
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    # The tested versions, as the README's set-up uses them; everything is installed for real.
    constraints = str(ROOT / "constraints.txt")
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, str(wheel))
    empty = tmp_path / "empty"
    empty.mkdir()
    shown = run(python, "-c", f"import os; os.chdir({str(empty)!r})\n{USE}")
    from_clone = subprocess.run(
        [
            sys.executable,
            "-c",
            USE.split("assert pathlib")[0] + USE.split("here\n")[1].split("assert")[0],
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert shown == from_clone and shown.startswith("5849 [")


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
