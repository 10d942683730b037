# SPDX-License-Identifier: MIT
"""One module per command: `add` declares it, its handler imports what it needs and works."""
