# SPDX-License-Identifier: MIT
"""Benches of single kernels, beside the figures of other engines (`simharness bench kernels`)."""
