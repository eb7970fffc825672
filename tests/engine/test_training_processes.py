"""Several processes train one network together, and one process needs nothing of what that takes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from calotype.train import loop, processes
from trainees import Bout, Stopping, tensors_of

SCRIPT = Path(__file__).parents[1] / "train_together.py"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorboard 2.21 and numpy
def test_two_processes_learn_as_one_that_meets_the_samples_of_both(tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric")
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*torchrun, str(SCRIPT), str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert ended.returncode == 0, ended.stderr
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2))
    met = [set(found.pop("met").tolist()) for found in (first, second)]
    assert met[0].isdisjoint(met[1])
    assert met[0] | met[1] == set(range(24))  # two samples a step in each, none left out
    assert all(torch.equal(first[key], second[key]) for key in first)

    written = {path.name for path in (tmp_path / "run0").iterdir()}
    assert written >= {"checkpoint.safetensors", "best.safetensors", "log.csv", "samples"}
    assert not (tmp_path / "run1").exists()

    def alone(batch_size: int) -> dict[str, torch.Tensor]:
        run = tmp_path / f"alone{batch_size}"
        loop.train(Bout(batch_size=batch_size, noise=0.0), tmp_path, tmp_path, run, Stopping(6, 6))
        found = tensors_of(run)
        parts = {"part0": "network", "part1": "companions"}
        return {key: found[parts[key[:5]] + key[5:]] for key in first}

    together, half = alone(4), alone(2)
    assert all(torch.allclose(first[key], together[key], atol=2e-3) for key in first)
    assert not all(torch.allclose(first[key], half[key], atol=2e-3) for key in first)


def test_one_process_imports_nothing_for_several() -> None:
    code = (
        "import sys\n"
        "from calotype.train import loop, processes\n"
        "assert isinstance(processes.begin(), processes.Alone)\n"
        "assert not any('lightning' in name for name in sys.modules)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "WORLD_SIZE"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=100)


def test_several_processes_without_fabric_are_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(processes.CalotypeError, match=r"pip install 'calotype\[distributed\]'"):
        processes.begin()
