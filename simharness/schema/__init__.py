# SPDX-License-Identifier: MIT
"""The published schema of the report."""
