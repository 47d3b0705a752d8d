"""Documents of DigitalOcean's API: the fields that ops reads."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field


def _list(value: object) -> object:
    """The API answers null for some empty lists inside a document."""
    return [] if value is None else value


Tags = Annotated[list[str], BeforeValidator(_list)]


class Document(BaseModel):
    """One document; fields that ops doesn't read are ignored. No error repeats a value: it may be a credential."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)


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
    regions: Tags


class Status(Document):
    state: str


class Node(Document):
    name: str
    status: Status


Nodes = Annotated[list[Node], BeforeValidator(_list)]


class NodePool(Document):
    id: str
    name: str
    size: str
    count: int
    tags: Tags = []
    auto_scale: bool = False
    min_nodes: int = 0
    max_nodes: int = 0
    nodes: Nodes = []

    @property
    def runs(self) -> bool:
        """True if all of its nodes run."""
        return len(self.nodes) == self.count and all(node.status.state == "running" for node in self.nodes)


GOING = ("deleting", "deleted")
"""The states of a cluster on its way out; DigitalOcean's description lists both."""


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
    tags: Tags = []


class LoadBalancer(Document):
    id: str
    name: str
    ip: str = ""
    type: str | None = None
    size_unit: int | None = None
    tags: Tags = []


class Stored(Document):
    """A volume or a volume's snapshot."""

    id: str
    name: str
    size_gigabytes: float
    tags: Tags = []


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
    available_regions: Tags
    subscription_tiers: list[Tier]


class Credentials(Document):
    server: str
    certificate_authority_data: str
    token: Annotated[str, Field(pattern="^[!-~]+$")]
    """One word: httpx would repeat another one in its own error."""
