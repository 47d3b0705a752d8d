"""Signed tokens of consumers, and the public keys that Kong checks them with."""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def public(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def token(issuer: str, key: Any, algorithm: str = "HS256", **claims: Any) -> str:  # noqa: ANN401 -- PyJWT's
    return "Bearer " + jwt.encode({"iss": issuer, "exp": time.time() + 60, **claims}, key, algorithm)
