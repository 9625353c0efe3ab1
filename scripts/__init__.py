"""What a person runs: `python -m scripts.<name>`, mostly through make."""

from bnrepro.entry import start

start()
