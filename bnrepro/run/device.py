"""The device of a run, and PyTorch's settings for it."""

from typing import Any

import torch

from bnrepro.config.rules import shown
from bnrepro.errors import UserError
from bnrepro.run.orphans import end_with_parent


def resolve_device(name: str) -> torch.device:
    """The device of that name; `auto`: a GPU where there is one. Raises a UserError."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()  # there are devices without memory or arithmetic
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # streams and graphs are of the current one
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = shown(str(error).splitlines()[0], 160)
        raise UserError(f"device={name}: not usable here ({reason})") from None
    return device


def set_up_torch(cfg: Any) -> torch.device:
    """Apply a config's `threads` and return its device; a worker ends with its parent."""
    end_with_parent()
    if cfg.threads is not None:
        torch.set_num_threads(cfg.threads)
    torch.set_flush_denormal(True)  # saturated sigmoids would otherwise slow the products down
    # glibc keeps freed blocks below the largest one it has seen freed (up to 32 MiB), instead of
    # handing every step's activations back to the system and asking for them anew.
    torch.empty(8_000_000)
    return resolve_device(cfg.device)
