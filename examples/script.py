"""A server from a script of one's own.    python script.py"""

from pydantic import BaseModel

from mothlight import App, method, serve, service


class Name(BaseModel):
    name: str


@service
class Greeter:
    @method
    def greet(self, name: Name) -> str:
        return f"Hello, {name.name}!"


if __name__ == "__main__":  # workers import this file: without the guard each would serve again
    serve(App(Greeter, port=8000))
