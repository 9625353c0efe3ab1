"""How much of this machine there is for this process."""

import os


def memory() -> float:
    """Bytes of memory that this machine has; infinite where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")


def cores() -> int:
    """Cores that this process may use; its share of them when several train together.

    Slurm says how many cores it gives each of its tasks, which torchrun may divide among processes.
    """
    local, processes = _count("LOCAL_WORLD_SIZE") or 1, _count("WORLD_SIZE") or 1
    available = _count("SLURM_CPUS_PER_TASK")
    if available is not None and max(local, processes) == (_count("SLURM_NTASKS") or 1):
        return available  # each task is one process
    if available is None:
        import joblib  # takes a tenth of a second, which --help need not wait for

        available = joblib.cpu_count()  # within the process's affinity and its container's quota
    return max(1, available // local)


def _count(variable: str) -> int | None:
    """A number above 0 in the environment; None for anything else."""
    value = os.environ.get(variable, "").strip()
    return int(value) or None if value.isascii() and value.isdigit() else None
