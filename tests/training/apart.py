"""Two processes of one run that see different results folders."""

import os
import sys

sys.argv.append(f"results={os.environ['APART']}/{os.environ['RANK']}")

from experiments.inception.__main__ import main  # noqa: E402

if __name__ == "__main__":
    main()
