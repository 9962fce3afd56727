"""`python -m authproxy` is `authproxy`."""

import sys

from authproxy.cli import main

sys.exit(main())
