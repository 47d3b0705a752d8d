"""Facts about the program's resources that the commands rely on."""

from ops.cluster import helm_records
from tests.unit.configurations import shared
from tests.unit.conftest import Recording

CONFIGURATIONS = shared("domain", "example autoscale", "example monitoring")


def test_the_namespace_table_lists_every_helm_release(recordings: dict[str, Recording]) -> None:
    names = {
        (resource.name, resource.inputs["name"], resource.inputs["namespace"])
        for recording in recordings.values()
        for resource in recording.of("Release")
    }
    assert names == {(name, name, namespace) for name, namespace in helm_records.NAMESPACES.items()}
