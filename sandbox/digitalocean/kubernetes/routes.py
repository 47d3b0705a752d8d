"""/v2/kubernetes: options, clusters, credentials, and what dies with a cluster."""

import base64
import re
import uuid
from typing import Any

import yaml
from flask import Response, request
from flask.typing import ResponseReturnValue

from sandbox.digitalocean import catalog
from sandbox.digitalocean.errors import ApiError
from sandbox.digitalocean.kubernetes.pool_routes import CLUSTER, check_pools
from sandbox.digitalocean.kubernetes.records import ClusterRecord
from sandbox.digitalocean.ledger import timestamp
from sandbox.digitalocean.middleware import Family, body, cloud, page

family = Family("kubernetes")
ASSOCIATED = f"{CLUSTER}/destroy_with_associated_resources"
Document = dict[str, Any]


@family.serves("GET /v2/kubernetes/options", "kubernetes:read")
def options() -> ResponseReturnValue:
    return {
        "options": {
            "regions": [{"name": catalog.REGIONS[slug], "slug": slug} for slug in catalog.KUBERNETES_REGIONS],
            "versions": [catalog.kubernetes_version(slug) for slug in cloud.settings.versions],
            "sizes": [{"name": slug, "slug": slug} for slug in catalog.KUBERNETES_SIZES],
        }
    }


def _check_name(name: object, besides: str = "") -> str:
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        raise ApiError(422, "validation error: invalid cluster name")
    if any(r.document["name"] == name and r.id != besides for r in cloud.clusters.records.values()):
        raise ApiError(422, "a cluster with this name already exists")
    return name


@family.serves("POST /v2/kubernetes/clusters", "kubernetes:create")
def create() -> ResponseReturnValue:
    requested = body()
    name, region = _check_name(requested.get("name")), requested.get("region")
    if region not in catalog.KUBERNETES_REGIONS:
        raise ApiError(422, "validation error: invalid region")
    wanted, offered = requested.get("version"), cloud.settings.versions
    # A minor version, such as 1.35, is the newest patch of it.
    version = next((slug for slug in offered if wanted == "latest" or slug.startswith(f"{wanted}.")), wanted)
    if version not in offered:
        raise ApiError(422, "validation error: invalid version slug")
    if not requested.get("node_pools"):
        raise ApiError(422, "validation error: at least one node pool is needed")
    check_pools(requested["node_pools"], region)
    if not any(int(pool.get("count") or pool.get("min_nodes") or 0) for pool in requested["node_pools"]):
        raise ApiError(422, "validation error: at least one node is needed")
    identifier = str(uuid.uuid4())
    ha = requested.get("ha")
    document: Document = {
        "id": identifier,
        "name": name,
        "region": region,
        "version": version,
        "cluster_subnet": "10.244.0.0/16",
        "service_subnet": "10.96.0.0/16",
        "vpc_uuid": cloud.vpcs.chosen(requested.get("vpc_uuid"), region),
        "ipv4": "",
        "endpoint": "",
        "tags": ["k8s", f"k8s:{identifier}", *(requested.get("tags") or [])],
        "node_pools": [],
        "maintenance_policy": {"start_time": "00:00", "duration": "4h0m0s", "day": "any"}
        | {key: value for key, value in (requested.get("maintenance_policy") or {}).items() if value},
        "auto_upgrade": bool(requested.get("auto_upgrade")),
        "surge_upgrade": bool(requested.get("surge_upgrade")),
        # From 1.36 on a request without `ha` gets the paid control plane.
        "ha": catalog.version_key(version)[:2] >= catalog.HIGH_AVAILABILITY_FROM if ha is None else bool(ha),
        "registry_enabled": False,
        "registries": [],
        "control_plane_firewall": _firewall(requested),
        "cluster_autoscaler_configuration": None,
        "status": {"state": "provisioning", "message": "provisioning"},
        "created_at": timestamp(),
        "updated_at": timestamp(),
    }
    record = cloud.clusters.create(document, requested["node_pools"])
    return {"kubernetes_cluster": record.document}, 201


@family.serves("GET /v2/kubernetes/clusters", "kubernetes:read")
def list_clusters() -> ResponseReturnValue:
    return page("kubernetes_clusters", [record.document for record in cloud.clusters.records.values()])


@family.serves(f"GET {CLUSTER}", "kubernetes:read")
def get(cluster_id: str) -> ResponseReturnValue:
    return {"kubernetes_cluster": cloud.clusters.get(cluster_id).document}


@family.serves(f"PUT {CLUSTER}", "kubernetes:update")
def update(cluster_id: str) -> ResponseReturnValue:
    record, requested = cloud.clusters.get(cluster_id), dict(body())
    document = record.document
    # The OpenAPI description requires a name, but doctl sends it only if it changes.
    _check_name(requested.get("name") or document["name"], besides=record.id)
    if document["ha"] and requested.get("ha") is False:
        raise ApiError(422, "validation error: high availability can't be disabled")
    if requested.get("tags") is not None:
        document["tags"] = ["k8s", f"k8s:{record.id}", *(t for t in requested["tags"] if not t.startswith("k8s"))]
    if isinstance(policy := requested.get("maintenance_policy"), dict):
        requested["maintenance_policy"] = document["maintenance_policy"] | {k: v for k, v in policy.items() if v}
    changeable = (
        *("name", "ha", "auto_upgrade", "surge_upgrade", "maintenance_policy"),
        *("control_plane_firewall", "cluster_autoscaler_configuration"),
    )
    requested["control_plane_firewall"] = _firewall(requested)
    document |= {key: requested[key] for key in changeable if _is_set(requested.get(key))}
    document["updated_at"] = timestamp()
    cloud.clusters.bill(record)
    return {"kubernetes_cluster": document}, 202


def _firewall(requested: Document) -> Document | None:
    """Returns the requested firewall; None if the request sets none."""
    firewall = requested.get("control_plane_firewall")
    if not isinstance(firewall, dict) or not _is_set(firewall):
        return None
    return {"enabled": bool(firewall.get("enabled")), "allowed_addresses": firewall.get("allowed_addresses") or []}


def _is_set(value: object) -> bool:
    """Reports whether a request sets a value. Clients leave one unset with objects of nulls and empty texts as well."""
    return any(map(_is_set, value.values())) if isinstance(value, dict) else value not in (None, "")


def _upgrades(document: Document) -> list[str]:
    """Returns newer patches of the cluster's minor version; where there are none, those of the next one."""
    major, minor, *_ = now = catalog.version_key(document["version"])
    newer = [
        (catalog.version_key(version)[:2], version)
        for version in cloud.settings.versions
        if catalog.version_key(version) > now
    ]
    patches = [slug for of, slug in newer if of == (major, minor)]
    return patches or [slug for of, slug in newer if of == (major, minor + 1)]


@family.serves(f"GET {CLUSTER}/upgrades", "kubernetes:read")
def upgrades(cluster_id: str) -> ResponseReturnValue:
    slugs = _upgrades(cloud.clusters.get(cluster_id).document)
    return {"available_upgrade_versions": [catalog.kubernetes_version(slug) for slug in slugs] or None}


@family.serves(f"POST {CLUSTER}/upgrade", "kubernetes:update")
def upgrade(cluster_id: str) -> ResponseReturnValue:
    record, version = cloud.clusters.get(cluster_id), body().get("version")
    if record.state != "running" or version not in _upgrades(record.document):
        raise ApiError(422, "validation error: invalid version slug")
    cloud.clusters.upgrade(record, version)
    return "", 202


@family.serves(f"DELETE {CLUSTER}", "kubernetes:delete")
def delete(cluster_id: str) -> ResponseReturnValue:
    cloud.clusters.delete(cloud.clusters.get(cluster_id))
    return "", 204


def _reachable(cluster_id: str) -> tuple[ClusterRecord, str, str]:
    """A cluster that has an API server, with its address and CA (base64)."""
    record = cloud.clusters.get(cluster_id)
    if record.kubernetes is None or not record.document["endpoint"]:
        raise ApiError(422, "the cluster is not ready yet")
    return record, record.kubernetes.server, base64.b64encode(record.kubernetes.ca_pem).decode()


@family.serves(f"GET {CLUSTER}/credentials", "kubernetes:access_cluster")
def credentials(cluster_id: str) -> ResponseReturnValue:
    record, server, authority = _reachable(cluster_id)
    token, expires = record.issue_token(request.args.get("expiry_seconds", 0, int))
    return {
        "server": server,
        "certificate_authority_data": authority,
        "client_certificate_data": None,
        "client_key_data": None,
        "token": token,
        "expires_at": timestamp(expires),
    }


@family.serves(f"GET {CLUSTER}/kubeconfig", "kubernetes:access_cluster")
def kubeconfig(cluster_id: str) -> ResponseReturnValue:
    record, server, authority = _reachable(cluster_id)
    token, _ = record.issue_token(request.args.get("expiry_seconds", 0, int))
    name = f"do-{record.document['region']}-{record.document['name']}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"certificate-authority-data": authority, "server": server}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-admin"}}],
        "current-context": name,
        "preferences": {},
        "users": [{"name": f"{name}-admin", "user": {"token": token}}],
    }
    return Response(yaml.safe_dump(config, sort_keys=False), mimetype="application/yaml")


@family.serves(f"GET {ASSOCIATED}", "kubernetes:read")
def associated(cluster_id: str) -> ResponseReturnValue:
    groups = cloud.clusters.associated(cloud.clusters.get(cluster_id))
    return {key: [{"id": t["id"], "name": t["name"]} for t in things] for key, things in groups.items()}


@family.serves(f"DELETE {ASSOCIATED}/dangerous", "kubernetes:delete")
def destroy_everything(cluster_id: str) -> ResponseReturnValue:
    cloud.clusters.destroy_associated(cloud.clusters.get(cluster_id))
    return "", 204
