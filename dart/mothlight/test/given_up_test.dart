/// Calls that the server has given up, and tokens that expire while they run.
library;

import 'dart:async';

import 'package:mothlight/generated.dart';
import 'package:mothlight/testing.dart';

import 'harness.dart';
import 'rig.dart' show echo, method, ms, numbers;

final Method<int, int> twice = method('twice', Cardinality.duplex, readInt);

const Map<String, Object?> _cancelled = {
  'type': 'Cancelled',
  'code': 'cancelled',
  'status': 499,
  'detail': 'the call was cancelled',
};

Transport over(HttpAdapter adapter, {TokenSource? token}) => Transport(
  Uri.parse('http://test'),
  adapter: adapter,
  token: token,
  options: CallOptions(idle: ms(200)),
);

Reply _refusal(String type, int status) => Reply.problem(type, status: status);

/// A source whose tokens expire: each that it is forced to make is a new one.
/// Where it [keeps] none, it gives the first again.
final class Expiring {
  Expiring({required this.keeps});

  final bool keeps;
  int made = 0;

  String call({required bool force}) {
    if (force) made++;
    return 'token${force || keeps ? made : 0}';
  }
}

void main() {
  _givenUp();
  _forgotten();
  _expired();
  run(limit: const Duration(seconds: 20));
}

void _givenUp() {
  test('a stream that was given up meanwhile says so', () async {
    for (final reply in [
      Reply.events(const [], problem: _cancelled),
      _refusal('Cancelled', 499),
    ]) {
      final adapter = ScriptedAdapter([
        Reply.events([1], isCut: true),
        reply,
      ]);
      final error = await throws<CancelledException>(
        () => over(adapter).serverStream(numbers, 0).toList(),
      );
      check(error.message.contains('grace'), '$error');
      check('$error'.startsWith('CancelledException: '), '$error');
      check(error.callId != null);
    }
  });

  test('a call with one answer, and a talk, say so too', () async {
    final unary = ScriptedAdapter([
      Reply.json('late', delay: ms(500)), // silent for longer than idle
      _refusal('Cancelled', 499),
    ]);
    final error = await throws<CancelledException>(
      () => over(unary).unary(echo, 'x'),
    );
    check(error.message.contains('grace'), '$error');
    equal(unary.requests.last.method, 'GET');

    final socket = ScriptedSocket((server) async {
      server
        ..addJson({'call': 'c', 'received': 0})
        ..addJson({'error': _cancelled});
    });
    final talk = await throws<CancelledException>(
      () =>
          over(
            ScriptedAdapter([], [socket]),
          ).duplex(twice, StreamController<int>().stream).toList(),
    );
    check(talk.message.contains('grace'), '$talk');
  });

  test('what this side has cancelled does not say so', () async {
    final token = CancelToken();
    final error = throws<CancelledException>(
      () => over(
        ScriptedAdapter([Reply.json('late', delay: ms(100)), Reply()]),
      ).unary(echo, 'x', options: CallOptions(cancel: token)),
    );
    token.cancel();
    equal((await error).message, 'the call was cancelled');
    // Whoever asks for a call by its id knows who may have stopped it.
    final operation = over(
      ScriptedAdapter([Reply.problem('Cancelled', detail: 'it was stopped')]),
    ).operation(echo, 'id');
    final stopped = await throws<CancelledException>(operation.result);
    equal(stopped.message, 'it was stopped');
  });
}

void _forgotten() {
  test('a stream that the server has forgotten is hinted at', () async {
    final adapter = ScriptedAdapter([
      Reply.events([1], isCut: true),
      _refusal('CallNotFound', 404),
    ]);
    final error = await throws<ConnectionException>(
      () => over(adapter).serverStream(numbers, 0).toList(),
    );
    equal(error.received, 1);
    check(error.hint!.contains('grace'), '$error');
  });

  test('a talk that the server has forgotten is hinted at', () async {
    ScriptedSocket lost() => ScriptedSocket((server) async {
      server.addJson({'call': 'c', 'received': 0});
      await server.next();
      server
        ..addJson({'received': 1})
        ..addJson(7)
        ..end(null);
    });
    Future<MothlightException> ends(ScriptedSocket next) =>
        throws<MothlightException>(
          () =>
              over(
                ScriptedAdapter([], [lost(), next]),
              ).duplex(twice, Stream.value(1)).toList(),
        );

    final gone = RawResponse(
      status: 400,
      headers: const {'content-type': 'application/problem+json'},
      body: Stream.value(
        '{"type": "ItemsGone", "after": 1, "first": 0, "last": 0}'.codeUnits,
      ),
    );
    for (final next in [
      ScriptedSocket((server) async {
        server.addJson({'call': 'c', 'received': 0});
      }),
      ScriptedSocket.refused(AdapterException('refused', response: gone)),
    ]) {
      final error = await ends(next);
      check(error.hint!.contains('grace'), '$error');
    }
  });

  test('a stream without an item is begun again', () async {
    final adapter = ScriptedAdapter([
      Reply.events(const [], isCut: true),
      _refusal('CallNotFound', 404),
      Reply.events([1, 2]),
    ]);
    equal(await over(adapter).serverStream(numbers, 0).toList(), [1, 2]);
    equal(
      [for (final request in adapter.requests) request.method],
      ['POST', 'GET', 'POST'],
    );
  });
}

void _expired() {
  for (final keeps in [true, false]) {
    test('a token that expires again is renewed again: $keeps', () async {
      for (final kind in ['stream', 'talk', 'operation']) {
        final source = Expiring(keeps: keeps);
        final refused = _refusal('Unauthenticated', 401);
        var requests = 0;
        FutureOr<Reply> answer(RecordedRequest request) {
          // A token holds for one connection.
          final good = 'Bearer token${requests ~/ 2 + 1}';
          requests++;
          if (requests.isOdd) return refused;
          equal(request.headers['authorization'], good);
          return switch (kind) {
            'stream' when requests < 6 => Reply.events(
              [requests ~/ 2],
              first: requests ~/ 2,
              isCut: true,
            ),
            'stream' => Reply.events([3], first: 3),
            _ when requests < 6 => Reply.json({}, status: 202),
            _ => Reply.json('done'),
          };
        }

        final adapter = ScriptedAdapter([], [
          for (var i = 1; i <= 3; i++) ...[
            ScriptedSocket.refused(
              AdapterException(
                'refused',
                response: RawResponse(
                  status: 401,
                  headers: const {'content-type': 'application/problem+json'},
                  body: Stream.value('{"type": "Unauthenticated"}'.codeUnits),
                ),
              ),
            ),
            ScriptedSocket((server) async {
              server
                ..addJson({'call': 'c', 'received': 0})
                ..addJson(i);
              if (i == 3) server.addJson({'end': true});
              server.end(null);
            }),
          ],
        ])..answer = answer;
        final transport = over(adapter, token: source.call);
        switch (kind) {
          case 'stream':
            final items = transport.serverStream(numbers, 0);
            equal(await items.toList(), [1, 2, 3]);
          case 'talk':
            final items = transport.duplex(
              twice,
              StreamController<int>().stream,
            );
            equal(await items.toList(), [1, 2, 3]);
          default:
            equal(await transport.operation(echo, 'id').result(), 'done');
        }
        equal(source.made, 3);
      }
    });
  }
}
