"""``python -m bench.discovery``: see ``run``."""

import sys

from bench.discovery.run import main

if __name__ == "__main__":
    sys.exit(main())
