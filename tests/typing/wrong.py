"""What both checkers must refuse. Every ignored line must be an error: mypy (warn_unused_ignores)
and pyright (below) say so where one is not, and test_reveal.py looks without the ignores."""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from reveal import Listener, Prompt, Review, Sentiment, State, TextTooLong, Token, Verdict, Writer

from mothlight import App, AsyncClient, Client, Step, method, service, stepped

review, prompt = Review(text="x"), Prompt("x")


def synchronous(client: Client) -> None:
    client.call(Sentiment.analyze, prompt)  # type: ignore
    client.call(Sentiment.analyze, [review])  # type: ignore
    client.call(Sentiment.one, "x")  # type: ignore
    client.call(Sentiment.write, prompt)  # type: ignore
    client.stream(Sentiment.write, review)  # type: ignore
    client.stream(Sentiment.analyze, review)  # type: ignore
    client.stream(Writer.write, review)  # type: ignore
    client.stream(Writer.write, [State("x")])  # type: ignore
    client.call(Writer.write, prompt)  # type: ignore
    client.of(Writer).write(review)  # type: ignore
    client.of(Sentiment).analyze(prompt)  # type: ignore
    client.of(Sentiment).write(review)  # type: ignore
    client.of(Sentiment).nothing(review)  # type: ignore
    verdict: Token = client.call(Sentiment.analyze, review)  # type: ignore
    client.call(Sentiment.one, review).label  # type: ignore  # noqa: B018
    client.call(Listener.total, prompt)  # type: ignore
    client.call(Listener.total, [review])  # type: ignore
    client.call(Listener.hear, [prompt])  # type: ignore
    client.stream(Listener.total, [prompt])  # type: ignore
    client.begin(Listener.total, [prompt])  # type: ignore
    client.begin(Sentiment.analyze, prompt)  # type: ignore
    client.with_options(timeout="soon")  # type: ignore
    client.with_options(patience=1)  # type: ignore
    print(verdict)


async def asynchronous(client: AsyncClient, app: App) -> None:
    await client.call(Sentiment.analyze, prompt)  # type: ignore
    client.stream(Sentiment.analyze, review)  # type: ignore
    client.stream(Listener.hear, client.stream(Sentiment.write, prompt))  # type: ignore
    verdict: Verdict = client.call(Sentiment.one, review)  # type: ignore
    await app.call(Sentiment.analyze, prompt)  # type: ignore
    app.stream(Sentiment.write, review)  # type: ignore
    print(verdict)


def alone() -> None:
    Sentiment().analyze(review)  # type: ignore
    Sentiment().one([review])  # type: ignore
    TextTooLong(length="long")  # type: ignore
    TextTooLong()  # type: ignore
    TextTooLong(1)  # type: ignore
    Writer().write(prompt)  # type: ignore
    Writer().write([prompt])  # type: ignore
    Writer().count([prompt])  # type: ignore


@service
class Wrong:
    def start(self, prompt: Prompt) -> State:
        return State(prompt.text)

    @stepped(start)  # type: ignore
    def other_state(self, states: list[Prompt]) -> list[Step[Token]]:
        return [Step(Token(state.text)) for state in states]

    @stepped(start)  # type: ignore
    def one_state(self, state: State) -> Step[Token]:
        return Step(Token(state.text))

    @stepped(start)  # type: ignore
    def no_steps(self, states: list[State]) -> list[Token]:
        return [Token(state.text) for state in states]

    @stepped(start)
    def other_items(self, states: list[State]) -> list[Step[Token]]:
        return [Step(state) for state in states]  # type: ignore

    @stepped(max_size=8)  # type: ignore
    def no_start(self, states: list[State]) -> list[Step[Token]]:
        return [Step(Token(state.text)) for state in states]

    @method(idempotent=False)  # type: ignore
    def alone(self, review: Review) -> Verdict:
        return Verdict(score=0.0)
