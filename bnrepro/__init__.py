"""bnrepro: Ioffe & Szegedy (2015), Batch Normalization, as experiments anyone can run and check."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # of the repository
