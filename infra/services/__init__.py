"""A microservice: Deployment, Service object and route."""
