"""The cores that a process may use."""

import pytest

from bnrepro.machine import cores

CLUSTER = {
    "torchrun in one Slurm task": ({"SLURM_CPUS_PER_TASK": "32", "SLURM_NTASKS": "1",
                                    "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "4"}, 8),
    "torchrun in a Slurm task a machine": ({"SLURM_CPUS_PER_TASK": "32", "SLURM_NTASKS": "2",
                                            "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}, 8),
    "a Slurm task each": ({"SLURM_CPUS_PER_TASK": "8", "SLURM_NTASKS": "4",
                           "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "4"}, 8),
    "one Slurm task": ({"SLURM_CPUS_PER_TASK": "6", "SLURM_NTASKS": "1"}, 6),
    "torchrun, Slurm silent on tasks": ({"SLURM_CPUS_PER_TASK": "32", "LOCAL_WORLD_SIZE": "4"}, 8),
    "torchrun alone": ({"LOCAL_WORLD_SIZE": "3"}, 4),
    "more processes than cores": ({"LOCAL_WORLD_SIZE": "64"}, 1),
    "alone": ({}, 12),
    "malformed": ({"SLURM_CPUS_PER_TASK": "many", "LOCAL_WORLD_SIZE": "", "WORLD_SIZE": "-1",
                   "SLURM_NTASKS": "2(x3)"}, 12),
    "zero": ({"SLURM_CPUS_PER_TASK": "0", "LOCAL_WORLD_SIZE": "0"}, 12),
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    for variable in ("SLURM_CPUS_PER_TASK", "SLURM_NTASKS", "LOCAL_WORLD_SIZE", "WORLD_SIZE"):
        monkeypatch.delenv(variable, raising=False)


def test_cores_that_the_process_may_not_use_do_not_count(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {5})
    assert cores() == 1


@pytest.mark.parametrize("name", CLUSTER)
def test_processes_share_the_cores_that_they_are_given(name, monkeypatch):
    variables, expected = CLUSTER[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("joblib.cpu_count", lambda: 12)
    assert cores() == expected
