"""The dashboard: Grafana's own types read all of it, and every query asks for what grym emits."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import promql_parser as promql
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from operators import records
from operators.breaker import machine
from operators.metering import METRICS
from tests.deploy.promnames import EVERYWHERE, SERIES, series_of
from tests.deploy.reading import DEPLOY, read_yaml, services

LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")
OVER_TIME = {"rate", "increase", "irate"}
KNOWN = {
    ("grym.windows", "outcome"): set(get_args(records.Outcome)),
    ("grym.breaker.state", "state"): set(get_args(machine.State)),
    ("grym.queue.depth", "queue"): {"spool"},
}
"""Values that labels can have, where they are few; others may not be asked for by value."""


def dashboard() -> dict[str, Any]:
    text = (DEPLOY / "grafana" / "dashboard.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def targets() -> list[Any]:
    return [
        pytest.param(target, id=f"{panel['title']}-{target['refId']}")
        for panel in panels()
        for target in panel["targets"]
    ]


def parsed(expression: str) -> promql.Expr:
    plain = expression.replace("$__rate_interval", "1m").replace("$instance", "any")
    assert "$" not in plain
    return promql.parse(plain)


def children(node: Any) -> list[Any]:
    """What an expression is made of."""
    if isinstance(node, promql.BinaryExpr):
        return [node.lhs, node.rhs]
    if isinstance(node, promql.Call):
        return list(node.args)
    if isinstance(node, promql.AggregateExpr | promql.ParenExpr | promql.UnaryExpr):
        return [node.expr]
    if isinstance(node, promql.MatrixSelector):
        return [node.vector_selector]
    assert isinstance(node, promql.VectorSelector | promql.NumberLiteral), type(node)
    return []


def nodes(expression: Any) -> Iterator[Any]:
    yield expression
    for child in children(expression):
        yield from nodes(child)


def selectors(expression: Any) -> list[tuple[str, list[promql.Matcher]]]:
    """Name and matchers of every series that an expression asks for."""
    found = [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]
    return [(node.name or "", node.matchers.matchers) for node in found]


def labels_of(name: str) -> frozenset[str]:
    return series_of(SERIES[name])[name]


def result_labels(expression: Any) -> frozenset[str]:
    """Labels that what comes of an expression can have."""
    if isinstance(expression, promql.AggregateExpr):
        return frozenset(expression.modifier.labels if expression.modifier else ())
    if isinstance(expression, promql.VectorSelector):
        return labels_of(expression.name or "")
    parts = [result_labels(child) for child in children(expression)]
    return frozenset.union(*parts) if parts else frozenset()


def lost(written: Any, read: Any, place: str = "") -> Iterator[str]:
    """Places of what was written and not read; defaults that were added are nothing lost."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            yield from lost(value, read.get(key), f"{place}.{key}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for index, (each, other) in enumerate(zip(written, read, strict=True)):
            yield from lost(each, other, f"{place}[{index}]")
    elif written != read:
        yield place


def read_by_grafana(written: dict[str, Any]) -> Any:
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(written), cls=JSONEncoder))


def test_grafana_reads_all_of_it_and_loses_nothing() -> None:
    assert list(lost(dashboard(), read_by_grafana(dashboard()))) == []


def test_a_word_that_grafana_does_not_know_would_be_lost() -> None:
    written = dashboard()
    written["panels"][1]["gridpos"] = written["panels"][1]["gridPos"]
    written["panels"][1]["options"]["colourMode"] = "none"
    assert list(lost(written, read_by_grafana(written))) == [
        ".panels[1].options.colourMode",
        ".panels[1].gridpos",
    ]


def test_panels_lie_beside_one_another_on_one_grid() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])


@pytest.mark.parametrize("target", targets())
def test_a_query_asks_for_series_and_labels_that_there_are(target: dict[str, Any]) -> None:
    expression = parsed(target["expr"])
    assert selectors(expression)
    for name, matchers in selectors(expression):
        assert name in SERIES
        asked = {matcher.name for matcher in matchers}
        assert "instance" in asked, "the choice of a process is passed over"
        assert asked <= labels_of(name)
    for node in nodes(expression):
        if isinstance(node, promql.AggregateExpr) and node.modifier:
            assert node.modifier.type == promql.AggModifierType.By
            for name, _ in selectors(node):
                assert set(node.modifier.labels) <= labels_of(name)


@pytest.mark.parametrize("target", targets())
def test_a_query_asks_for_values_that_there_are(target: dict[str, Any]) -> None:
    for name, matchers in selectors(parsed(target["expr"])):
        for matcher in matchers:
            if matcher.name not in EVERYWHERE and matcher.value:
                known = KNOWN[SERIES[name].name, matcher.name]
                assert set(matcher.value.split("|")) <= known


@pytest.mark.parametrize("target", targets())
def test_what_only_grows_is_asked_for_as_a_rate_and_nothing_else_is(target: dict[str, Any]) -> None:
    expression = parsed(target["expr"])
    rated = {
        name
        for node in nodes(expression)
        if isinstance(node, promql.Call) and node.func.name in OVER_TIME
        for name, _ in selectors(node)
    }
    grows = {name for name, _ in selectors(expression) if SERIES[name].kind != "gauge"}
    assert rated == grows


@pytest.mark.parametrize("target", targets())
def test_a_quantile_is_of_buckets_by_their_bounds(target: dict[str, Any]) -> None:
    expression = parsed(target["expr"])
    quantiles = [
        node
        for node in nodes(expression)
        if isinstance(node, promql.Call) and node.func.name == "histogram_quantile"
    ]
    for node in quantiles:
        assert all(name.endswith("_bucket") for name, _ in selectors(node))
        assert "le" in node.args[1].modifier.labels
    buckets = [name for name, _ in selectors(expression) if name.endswith("_bucket")]
    assert bool(buckets) == bool(quantiles)


@pytest.mark.parametrize("target", targets())
def test_a_legend_names_labels_that_the_answer_has(target: dict[str, Any]) -> None:
    expression = parsed(target["expr"])
    assert set(LEGEND.findall(target["legendFormat"])) <= result_labels(expression)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_on_the_dashboard(metric: Any) -> None:
    shown = {
        SERIES[name]
        for panel in panels()
        for target in panel["targets"]
        for name, _ in selectors(parsed(target["expr"]))
    }
    assert metric in shown


def test_the_latency_of_a_window_leads_to_its_trace() -> None:
    exemplars = [
        target
        for panel in panels()
        for target in panel["targets"]
        if target.get("exemplar") and "grym_window_latency_seconds_bucket" in target["expr"]
    ]
    assert len(exemplars) == 3
    sources = read_yaml("grafana/provisioning/datasources/grym.yaml")["datasources"]
    by_type = {source["type"]: source for source in sources}
    (link,) = by_type["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert link["name"] == "trace_id"
    assert link["datasourceUid"] == by_type["jaeger"]["uid"]


def test_every_panel_asks_the_source_that_is_provisioned() -> None:
    sources = read_yaml("grafana/provisioning/datasources/grym.yaml")["datasources"]
    known = {(source["type"], source["uid"]) for source in sources}
    asked = [panel["datasource"] for panel in panels()]
    asked += [target["datasource"] for panel in panels() for target in panel["targets"]]
    asked += [variable["datasource"] for variable in dashboard()["templating"]["list"]]
    assert {(each["type"], each["uid"]) for each in asked} <= known


def test_the_choice_of_a_process_is_made_of_a_series_that_there_is() -> None:
    (variable,) = dashboard()["templating"]["list"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert found is not None
    assert found[2] == variable["name"] == "instance"
    assert found[2] in labels_of(found[1])


def test_grafana_finds_the_dashboard_where_compose_puts_it() -> None:
    (provider,) = read_yaml("grafana/provisioning/dashboards/grym.yaml")["providers"]
    service = services()["grafana"]
    (target,) = [mount.split(":")[1] for mount in service["volumes"] if "dashboard.json" in mount]
    assert target.rpartition("/")[0] == provider["options"]["path"]
    assert service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == target
