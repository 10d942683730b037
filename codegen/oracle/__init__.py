# SPDX-License-Identifier: MIT
"""What ONNX Runtime computes, written down in numpy."""
