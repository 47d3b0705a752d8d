"""Private networks."""
# ruff: noqa: ARG002 -- the methods' parameters are Resource's

from http import HTTPStatus
from typing import ClassVar

from sandbox.digitalocean.provider.client import ApiError, Client, ProviderError
from sandbox.digitalocean.provider.node_pool import go_time
from sandbox.digitalocean.provider.properties import Properties
from sandbox.digitalocean.provider.resource import Input, Resource, Shape, not_empty


class Vpc(Resource):
    shape: ClassVar[Shape] = Shape(
        {
            "name": Input(required=True, invalid=not_empty),
            "region": Input(required=True, force_new=True, invalid=not_empty),
            "description": Input(),
            "ipRange": Input(computed=True, force_new=True),
        },
        ("createdAt", "default", "vpcUrn"),
    )
    delete_seconds: ClassVar[float] = 120

    def create(self, api: Client, config: Properties, seconds: float) -> tuple[str, Properties]:
        keys = {"name": "name", "region": "region", "description": "description", "ip_range": "ipRange"}
        body = {key: config[own] for key, own in keys.items() if config[own]}
        made = api.call("Error creating VPC", "POST", "vpcs", body)["vpc"]
        return made["id"], self.read(api, made["id"], config) or {}

    def read(self, api: Client, identity: str, state: Properties) -> Properties | None:
        answer = api.find("Error reading VPC", "GET", f"vpcs/{identity}")
        if answer is None:
            return None
        vpc = answer["vpc"]
        return state | {
            **{key: vpc[key] for key in ("name", "region", "description", "default")},
            "ipRange": vpc["ip_range"],
            "vpcUrn": vpc["urn"],
            "createdAt": go_time(vpc.get("created_at")),
        }

    def update(self, api: Client, identity: str, olds: Properties, config: Properties) -> Properties | None:
        # An empty description is omitted, so none can be removed.
        description = {"description": config["description"]} if config["description"] else {}
        body = {"name": config["name"], "default": olds.get("default")} | description
        api.call("Error updating VPC ", "PUT", f"vpcs/{identity}", body)
        return self.read(api, identity, config)

    def delete(self, api: Client, identity: str, state: Properties, seconds: float) -> None:
        refusals: list[ApiError] = []

        def deleted() -> bool | None:
            try:
                api.call("Error deleting VPC", "DELETE", f"vpcs/{identity}")
            except ApiError as error:
                # It still has members, which go after their own deletion was answered; a default one stays so.
                if error.status != HTTPStatus.FORBIDDEN:
                    raise
                refusals.append(error)
                return None
            return True

        try:
            api.wait("delete VPC", seconds, deleted)
        except ApiError:
            raise
        except ProviderError:
            raise refusals[-1] from None
