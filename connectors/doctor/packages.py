"""The packages that grym asks for: installed, and in a version that it runs with.

What it asks for is read from its own metadata, as pip reads it. Invariant: nothing is imported but
the driver of Kafka, of which only its checksum tells whether it is fit.
"""

import re
from collections.abc import Iterator
from importlib import metadata

from connectors.doctor.asked import Asked
from connectors.doctor.finding import Finding, of_sentence
from connectors.kafka.options import DriverError, check_crc32c

DISTRIBUTION = "grym-synth"
_MODULES = {
    "grpcio": "grpc",
    "kafka-python": "kafka",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry-exporter-prometheus": "opentelemetry.exporter.prometheus",
    "opentelemetry-sdk": "opentelemetry.sdk",
}
"""What is imported by another name than it is installed by."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_KAFKA = "kafka-python"


def check(asked: Asked, patience_s: float) -> Iterator[Finding]:
    """Everything that is missing or too old or new, or that all is well."""
    del asked, patience_s
    # Imported here: this module says what to do even where it is missing.
    from packaging.requirements import Requirement  # noqa: PLC0415

    wanted = required()
    if not wanted:
        yield Finding(
            "packages",
            "note",
            f"{DISTRIBUTION} is not installed: nobody knows what it asks for",
            "make install",
        )
        return
    faults = 0
    for line in wanted:
        requirement = Requirement(line)
        version = installed(requirement.name)
        if version is not None and requirement.specifier.contains(version, prereleases=True):
            continue
        faults += 1
        here = "is not installed" if version is None else f"is {version}"
        detail = f"{requirement.name} {here}, grym asks for {requirement.specifier or 'it'}"
        yield Finding("packages", "broken", detail, f"pip install '{line}'")
    if installed(_KAFKA) is not None:
        try:
            check_crc32c()
        except DriverError as error:
            faults += 1
            yield of_sentence("packages", str(error), between="; install it: ")
    if not faults:
        detail = f"{len(wanted)}, as {DISTRIBUTION} {installed(DISTRIBUTION)} asks for them"
        yield Finding("packages", "ok", detail)


def required() -> tuple[str, ...]:
    """What grym asks for, as it is given to pip, sorted; nothing where it is not installed."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return ()
    return tuple(sorted(line for line in lines if ";" not in line))


def installed(name: str) -> str | None:
    """The version that is installed; None where there is none, or none that can be read."""
    try:
        version: str | None = metadata.version(name)
    except (metadata.PackageNotFoundError, KeyError):
        return None
    return version


def name_of(requirement: str) -> str:
    """The name that a requirement begins with."""
    found = _NAME.match(requirement)
    return found[0] if found else requirement


def module_of(name: str) -> str:
    """What to import of an installed package."""
    return _MODULES.get(name, name.replace("-", "_"))


def reinstall(module: str) -> str:
    """What mends a package of which a module cannot be imported."""
    top = module.partition(".")[0]
    for line in required():
        if module_of(name_of(line)).partition(".")[0] == top:
            return f"pip install --force-reinstall '{line}'"
    return f"pip install --force-reinstall {top}"
