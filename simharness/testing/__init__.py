# SPDX-License-Identifier: MIT
"""For the test suites of people who use simharness: the pytest plugin and its baselines."""
