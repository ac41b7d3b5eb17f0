"""Synthesis of single sounds: makers by family, and the cast of a scene drawn from them."""
