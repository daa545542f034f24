"""A built wheel, installed in an empty virtual environment, works from an empty directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SHOW = """
import sys, pathlib
import gymnasium as gym, music_env
env = gym.make("MusicRec-v0")
env.reset(seed=0)
print(env.unwrapped.catalogue.n_tracks, [env.step(1)[4]["track_index"] for _ in range(3)])
"""

USE = (
    SHOW
    + """
assert "torch" not in sys.modules
here = pathlib.Path(music_env.__file__).resolve()
assert pathlib.Path(sys.prefix).resolve() in here.parents, here
assert (here.parent / "py.typed").is_file()
import agents
model = agents.DuelingDQN(env=gym.make("MusicRec-v0", encoding="codes"), seed=0, learning_starts=50)
model.learn(100)
"""
)


@pytest.mark.slow
def test_wheel_in_an_empty_environment(tmp_path: Path) -> None:
    def run(*command: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, env=_clean_environment()
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
    (tmp_path / "empty").mkdir()
    shown = run(python, "-c", USE, cwd=tmp_path / "empty")
    assert shown == run(sys.executable, "-c", SHOW, cwd=ROOT)
    assert shown.startswith("5849 [")


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
