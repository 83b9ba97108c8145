"""OpenTelemetry: spans and counters with its SDK, nothing without its API."""

import json
import subprocess
import sys

import pytest

WORK = """
from rekindle import SessionStore
from rekindle.errors import StaleSessionError

OLD = '{"model": "MODEL", "provider": "open_a_i", "max_tokens": 1, "comms_name": null, "tooling": {"shell": true}}'

with SessionStore.open("sqlite://", upgrade=True) as store:
    store.import_document("s", OLD)
    record = store.load("s")
    store.save(record)
    try:
        store.save(record)
    except StaleSessionError:
        pass
"""

WITH_AN_SDK = """
import json
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
{work}
spans = exporter.get_finished_spans()
found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(json.dumps({{
    "spans": [[span.name, dict(span.attributes), span.status.status_code.name] for span in spans],
    "counters": {{metric.name: [[point.value, dict(point.attributes)] for point in metric.data.data_points]
                 for metric in found}},
    "all": repr([span.to_json() for span in spans]) + repr(found),
}}))
"""

WITHOUT_THE_API = """
import sys

class NotThere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotThere())
{work}
print(not [name for name in sys.modules if name.startswith("opentelemetry")])
"""


def run(program):
    return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def seen():
    pytest.importorskip("opentelemetry.sdk")
    return json.loads(run(WITH_AN_SDK.format(work=WORK)))


def test_each_call_of_a_store_is_a_span(seen):
    """Named after the call, with the database system; one that fails says so."""
    assert [name for name, *_ in seen["spans"]] == [
        "rekindle.import_document", "rekindle.load", "rekindle.save", "rekindle.save",
    ]  # fmt: skip
    assert {attributes["db.system.name"] for _, attributes, _ in seen["spans"]} == {"sqlite"}
    assert [status for *_, status in seen["spans"]] == ["UNSET", "UNSET", "UNSET", "ERROR"]


def test_what_happens_to_rows_is_counted(seen):
    """Upcasts by the schema version they came from, and lost races."""
    assert seen["counters"] == {
        "rekindle.upcasts": [[1, {"rekindle.from_schema_version": 1}]],
        "rekindle.stale_saves": [[1, {}]],
    }


def test_no_value_of_a_document_is_in_spans_and_counters(seen):
    """Not even the name of the model."""
    assert "MODEL" not in seen["all"]


def test_without_the_api_nothing_of_it_is_imported():
    """OpenTelemetry is nobody's dependency."""
    assert run(WITHOUT_THE_API.format(work=WORK)).strip() == "True"
