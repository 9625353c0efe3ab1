"""What surrounds a training loop: today the mirror of its record on Weights & Biases."""
