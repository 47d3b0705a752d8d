"""Facts about DigitalOcean that the program and its stand-in state independently are the same."""

import pytest

from infra.config import cluster_validation, load_balancer, prices
from infra.config.capacity import NodeSize
from sandbox.digitalocean import catalog
from sandbox.digitalocean.kubernetes import cloud_controller


@pytest.mark.parametrize(
    "name", ["BILLED_HOURS", "HIGH_AVAILABILITY", "LOAD_BALANCER", "VOLUME_PER_GIB", "SNAPSHOT_PER_GIB"]
)
def test_the_program_and_the_stand_in_have_the_same_price(name: str) -> None:
    assert getattr(prices, name) == getattr(catalog, name)


def test_high_availability_is_the_default_from_the_same_version() -> None:
    assert prices.HIGH_AVAILABILITY_FROM == catalog.HIGH_AVAILABILITY_FROM


def test_tier_basic_holds_the_same_number_of_repositories() -> None:
    assert catalog.TIERS["basic"].repositories == cluster_validation.BASIC_REPOSITORIES


@pytest.mark.parametrize("size", catalog.KUBERNETES_SIZES.values(), ids=lambda size: size.slug)
def test_a_node_has_the_same_memory_for_pods(size: catalog.Size) -> None:
    assert NodeSize(size.vcpus, size.memory_mib).allocatable.memory == size.memory_mib_for_pods


def test_the_marks_of_a_load_balancers_service_object_are_the_same() -> None:
    assert load_balancer.ID_ANNOTATION == cloud_controller.STAMP
    assert load_balancer.CLEANUP_FINALIZER == cloud_controller.FINALIZER
    assert load_balancer.ANNOTATION_PREFIX == cloud_controller.PREFIX


def test_the_quickest_health_check_is_the_least_that_digitalocean_takes() -> None:
    least = {name.replace("_", "-"): number for name, number in cloud_controller.HEALTH_NUMBERS.items()}
    assert least == load_balancer.QUICKEST_HEALTH_CHECK
