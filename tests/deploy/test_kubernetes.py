"""The Kubernetes files: valid by strict schemas, and the shares are as many as the pods."""

import os
import subprocess
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.deploy.command import heard, parsed, settings_from
from tests.deploy.reading import DEPLOY, PROBE, UID, is_pinned

VERSION = "1.37"


def documents() -> list[dict[str, Any]]:
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [each for file in files for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def the(kind: str) -> dict[str, Any]:
    (found,) = [each for each in documents() if each["kind"] == kind]
    return found


def pod() -> dict[str, Any]:
    found: dict[str, Any] = the("StatefulSet")["spec"]["template"]["spec"]
    return found


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def command_of(index: int) -> list[str]:
    """The command line of one pod, as its shell makes it."""
    (script,) = container()["args"]
    assert script.startswith("exec grym ")
    asked = script.replace("exec grym ", "printf '%s\\n' ", 1)
    environment = {"PATH": os.environ["PATH"], "POD_INDEX": str(index)}
    done = subprocess.run(
        [*container()["command"], asked],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("document", documents(), ids=lambda each: each["kind"])
def test_it_is_valid_by_the_strict_schema(document: dict[str, Any]) -> None:
    assert kubernetes_validate.validate(document, VERSION, strict=True) == VERSION
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**document, "speck": {}}, VERSION, strict=True)


def test_there_are_as_many_shares_as_pods_and_each_pod_has_one() -> None:
    replicas = the("StatefulSet")["spec"]["replicas"]
    lines = [parsed(command_of(index)) for index in range(replicas)]
    assert [line["process"] for line in lines] == list(range(1, replicas + 1))
    assert {line["of"] for line in lines} == {replicas}


def test_scaling_names_a_new_recovery_folder() -> None:
    replicas = the("StatefulSet")["spec"]["replicas"]
    assert parsed(command_of(0))["recovery"].name == f"recovery-of-{replicas}"


def test_the_recovery_folder_lies_below_the_volume_and_not_at_its_root() -> None:
    (claim,) = the("StatefulSet")["spec"]["volumeClaimTemplates"]
    places = {mount["name"]: mount["mountPath"] for mount in container()["volumeMounts"]}
    assert str(parsed(command_of(0))["recovery"].parent) == places[claim["metadata"]["name"]]
    volumes = {volume["name"] for volume in pod()["volumes"]}
    assert set(places) == {claim["metadata"]["name"], *volumes}


def test_what_is_heard_can_be_divided() -> None:
    assert heard(command_of(0)) == ["kafka"]


def test_the_index_of_a_pod_is_asked_of_its_label() -> None:
    (index,) = [entry for entry in container()["env"] if entry["name"] == "POD_INDEX"]
    asked = index["valueFrom"]["fieldRef"]["fieldPath"]
    assert asked == "metadata.labels['apps.kubernetes.io/pod-index']"


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_pod_is_asked_by_the_probe_of_the_image(probe: str) -> None:
    assert container()[probe]["exec"]["command"] == ["sh", "-c", PROBE]


def test_a_pod_has_no_more_rights_than_it_needs() -> None:
    whole, own = pod()["securityContext"], container()["securityContext"]
    assert whole["runAsNonRoot"]
    assert {whole[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {UID}
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert own["readOnlyRootFilesystem"]
    assert not own["allowPrivilegeEscalation"]
    assert own["capabilities"] == {"drop": ["ALL"]}
    assert not pod()["automountServiceAccountToken"]
    assert not pod()["enableServiceLinks"]  # GRYM_* variables of Services would be refused


def test_a_pod_asks_for_what_it_uses_and_ends_in_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resources = container()["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]
    settings = settings_from(the("ConfigMap")["data"], monkeypatch)
    assert pod()["terminationGracePeriodSeconds"] > settings.store.drain_s


def test_every_setting_is_one_and_a_secret_may_join(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_from(the("ConfigMap")["data"], monkeypatch)
    assert settings.store.uri == "http://milvus:19530"
    sources = {key for entry in container()["envFrom"] for key in entry}
    assert sources == {"configMapRef", "secretRef"}
    assert container()["envFrom"][1]["secretRef"]["optional"]


def test_names_and_labels_find_one_another() -> None:
    stateful = the("StatefulSet")["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    assert stateful["serviceName"] == the("Service")["metadata"]["name"]
    assert the("Service")["spec"]["clusterIP"] == "None"
    assert labels == stateful["selector"]["matchLabels"] == the("Service")["spec"]["selector"]
    assert the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert container()["envFrom"][0]["configMapRef"]["name"] == the("ConfigMap")["metadata"]["name"]
    assert is_pinned(container()["image"])
