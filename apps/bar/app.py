"""The bar microservice."""

from flask import Flask, Response, jsonify

app = Flask(__name__)


@app.get("/bar")
def bar() -> Response:
    return jsonify(msg="Hello from the bar microservice")


@app.get("/healthz")
def healthz() -> Response:
    return jsonify(status="ok")
