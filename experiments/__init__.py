"""One folder for each experiment of the paper; README.md says how to add one."""

from bnrepro.entry import start

start()
