"""What preflight proposes."""

from ops.account.documents import Size
from ops.preflight.cluster import Catalogue


def size(slug: str, monthly: float, memory: int, *, available: bool = True, region: str = "nyc1") -> Size:
    return Size.model_validate(
        {
            "slug": slug,
            "memory": memory,
            "vcpus": 1,
            "price_monthly": monthly,
            "price_hourly": monthly / 672,
            "available": available,
            "regions": [region],
        }
    )


def test_only_sizes_that_nodes_can_have_are_proposed_the_cheapest_first() -> None:
    sizes = [
        size("larger", 24, 4096),
        size("smallest", 12, 2048),
        size("too-small", 6, 1024),
        size("sold-out", 18, 4096, available=False),
        size("elsewhere", 18, 4096, region="ams3"),
    ]
    offered = Catalogue(["nyc1"], ["1.35"], {one.slug: one for one in sizes})
    assert offered.sizes_in("nyc1") == ["smallest", "larger"]
