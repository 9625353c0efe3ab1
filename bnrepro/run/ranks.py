"""Which of the processes of a run this is, as torchrun or submitit say it in the environment."""

import os


def rank() -> int:
    """This process's number, from 0."""
    return int(os.environ.get("RANK", 0))


def world() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", 1))


def leads() -> bool:
    """Whether this is the process that evaluates and writes."""
    return rank() == 0
