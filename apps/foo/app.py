"""The foo microservice."""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.get("/foo")
def foo() -> Response:
    return jsonify(msg="Hello from the foo microservice")


@app.get("/healthz")
def healthz() -> Response:
    return jsonify(status="ok")
