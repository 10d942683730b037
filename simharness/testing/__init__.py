# SPDX-License-Identifier: MIT
"""For the test suites of people who use simharness.

`plugin` is the pytest plugin, with its `baselines`. `strategies` and `networks` are Hypothesis
strategies for layers, quantization parameters and networks; they need the `test` extra.
"""
