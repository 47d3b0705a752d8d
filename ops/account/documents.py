"""Documents of DigitalOcean's API: the fields that ops reads."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from infra.config.cluster_changes import GOING


class Document(BaseModel):
    """One document; fields that ops doesn't read are ignored. No error repeats a value: it may be a credential."""

    model_config = ConfigDict(
        frozen=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,  # Python's JSON parser reads 1e400 as infinite
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, document: Any) -> Any:  # noqa: ANN401 -- JSON
        """The API answers null for fields without a value, and for some empty lists."""
        return (
            {key: value for key, value in document.items() if value is not None}
            if isinstance(document, dict)
            else document
        )


class Team(Document):
    name: str = ""


class Account(Document):
    email: str
    status: str
    status_message: str = ""
    droplet_limit: int
    team: Team = Team()

    def __str__(self) -> str:
        return f"{self.email}, team {self.team.name}" if self.team.name else self.email


class Size(Document):
    slug: str
    memory: int
    """MiB"""
    vcpus: int
    price_monthly: float
    price_hourly: float
    available: bool = True
    regions: list[str] = []


class Status(Document):
    state: str


class Node(Document):
    name: str
    status: Status


class NodePool(Document):
    id: str
    name: str
    size: str
    count: int
    tags: list[str] = []
    auto_scale: bool = False
    min_nodes: int = 0
    max_nodes: int = 0
    nodes: list[Node] = []

    @property
    def runs(self) -> bool:
        """True if all of its nodes run."""
        return len(self.nodes) == self.count and all(node.status.state == "running" for node in self.nodes)


RUNS = ("running", "degraded", "upgrading")
"""The states of a cluster whose API server answers."""


class Cluster(Document):
    id: str
    name: str
    region: str
    version: str = ""
    ha: bool = False
    vpc_uuid: str = ""
    created_at: AwareDatetime
    status: Status
    node_pools: list[NodePool]

    @property
    def runs(self) -> bool:
        return self.status.state in RUNS

    @property
    def is_being_deleted(self) -> bool:
        return self.status.state in GOING


class Vpc(Document):
    id: str
    name: str
    region: str
    ip_range: str = ""
    default: bool = False


class DropletSize(Document):
    price_monthly: float
    price_hourly: float


class Droplet(Document):
    id: str
    name: str
    size: DropletSize
    tags: list[str] = []


class LoadBalancer(Document):
    id: str
    name: str
    ip: str = ""
    type: str | None = None
    size_unit: int | None = None
    tags: list[str] = []


class Reference(Document):
    id: str


class Associated(Document):
    """What DigitalOcean deletes with a cluster on request."""

    load_balancers: list[Reference] = []
    volumes: list[Reference] = []
    volume_snapshots: list[Reference] = []


class Stored(Document):
    """A volume or a volume's snapshot."""

    id: str
    name: str
    size_gigabytes: float
    tags: list[str] = []


class Tier(Document):
    slug: str
    monthly_price_in_cents: float


class Subscription(Document):
    tier: Tier


class Registry(Document):
    name: str
    region: str = ""
    created_at: AwareDatetime
    subscription: Subscription | None = None


class Zone(Document):
    name: str


class Record(Document):
    id: str
    type: str
    name: str
    data: str


class Slug(Document):
    slug: str


class ClusterOptions(Document):
    regions: list[Slug]
    sizes: list[Slug]
    versions: list[Slug]


class RegistryOptions(Document):
    available_regions: list[str] = []
    subscription_tiers: list[Tier]


class Credentials(Document):
    server: str
    certificate_authority_data: str
    token: Annotated[str, Field(pattern="^[!-~]+$")]
    """One word: httpx would repeat another one in its own error."""
