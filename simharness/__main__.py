# SPDX-License-Identifier: MIT
"""`python -m simharness` is `simharness`."""

from __future__ import annotations

import sys

from simharness.cli import main

sys.exit(main())
