"""No claim is judged on the grid: it chooses settings."""
