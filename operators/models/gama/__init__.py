"""GAMA: a language model that hears. Ghosh et al., EMNLP 2024, https://arxiv.org/abs/2406.11768.

The topology is the released one (https://github.com/Sreyan88/GAMA); its weights are not shipped
and nothing here is copied from it. LLaMA-2's weights are under Meta's licence; the terms of GAMA's
checkpoints are not stated by their authors.
"""

from operators.models.gama.adapter import Gama, GamaConfig

__all__ = ["Gama", "GamaConfig"]
