"""Torch: what this machine computes with, and whether the devices that were asked for are here."""

import os
from collections.abc import Iterator

import torch

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding, of_sentence
from operators.models.compute import choose_device, choose_dtype
from operators.models.protocol import ModelConfigError

_GB = 1e9


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """The processor, the GPUs, and each device that a model was told to run on."""
    del patience_s
    yield Finding("processor", "ok", _processor())
    yield _gpus()
    for model in asked.models:
        try:
            choose_device(model.device or "auto")
        except ModelConfigError as error:
            yield of_sentence("gpu", f"{model.name}: {error}", between=": ")
        except RuntimeError:  # torch's, which lists a screen of devices
            detail = f"{model.name}: device = '{model.device}' means nothing to torch"
            yield Finding("gpu", "broken", detail, "choose auto, cpu, cuda or cuda:N")


def _processor() -> str:
    ours, all_of_them = len(os.sched_getaffinity(0)), os.cpu_count()
    dtype = str(choose_dtype("auto", torch.device("cpu"))).removeprefix("torch.")
    why = "computed natively" if dtype == "bfloat16" else "bfloat16 would be emulated"
    threads = os.environ.get("OMP_NUM_THREADS")
    return (
        f"{ours} of {all_of_them} cores, {torch.backends.cpu.get_cpu_capability()}; models run in"
        f" {dtype} ({why}); OMP_NUM_THREADS is {threads or 'not set'}"
    )


def _gpus() -> Finding:
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "without CUDA"
        detail = f"none; torch {torch.__version__} ({built}) runs models on the processor"
        return Finding("gpu", "note", detail)
    shown = []
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        name = torch.cuda.get_device_name(number)
        shown.append(f"cuda:{number} {name}, {free / _GB:.1f} of {total / _GB:.1f} GB free")
    return Finding("gpu", "ok", "; ".join(shown))
