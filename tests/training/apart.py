"""Processes of one run that were given different commands: an override more, by their number."""

import os
import sys

sys.argv.append(os.environ["APART"].split("|")[int(os.environ["RANK"])])

from experiments.inception.__main__ import main  # noqa: E402

if __name__ == "__main__":
    main()
