"""What surrounds a training loop: its record, checkpoints, locks, processes and mirrors."""
