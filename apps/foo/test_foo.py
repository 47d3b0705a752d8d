"""What the foo microservice answers."""

from apps.foo.app import app

client = app.test_client()


def test_it_greets_with_the_tutorials_exact_json() -> None:
    response = client.get("/foo")
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.text == '{"msg":"Hello from the foo microservice"}\n'


def test_it_says_that_it_is_healthy() -> None:
    assert client.get("/healthz").status_code == 200


def test_it_answers_nothing_else() -> None:
    assert client.get("/").status_code == 404
    assert client.post("/foo").status_code == 405
