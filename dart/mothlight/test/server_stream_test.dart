/// Streams of answers: torn, silent, failed.
library;

import 'dart:async';
import 'dart:convert';

import 'package:mothlight/mothlight.dart';

import 'harness.dart';
import 'rig.dart';

/// Sends [bytes] of a stream, and cuts the connection.
Future<void> _torn(Seen seen, List<int> bytes) async {
  final response = seen.events();
  final socket = await response.detachSocket();
  socket.add(
    utf8.encode('${bytes.length.toRadixString(16)}\r\n') + bytes + [13, 10],
  );
  await socket.flush();
  socket.destroy();
}

int _after(Seen seen) => int.parse(seen.header('last-event-id') ?? '0');

Future<void> _gone(Seen seen) => seen.text('', status: 204);

void main() {
  _resume();
  _failures();
  run();
}

void _resume() {
  test('10,000 items come in their order', () {
    return withRig(
      (seen) async {
        final response = seen.events();
        final text = StringBuffer();
        for (var i = 1; i <= 10000; i++) {
          text.write(event(i, i));
        }
        response.write('$text$endEvent');
        await response.close();
      },
      (rig, transport) async {
        final items = await transport.serverStream(numbers, 10000).toList();
        equal(items, [for (var i = 1; i <= 10000; i++) i]);
        final seen = rig.seen.single;
        equal(seen.header('accept'), 'text/event-stream');
        equal(seen.header('request-timeout'), null);
        equal(seen.body, '10000');
      },
    );
  });

  test('streams that are torn 1,000 times have no gap and no repeat', () {
    final tears = <String, int>{};
    return withRig(
      (seen) async {
        final after = _after(seen);
        final key = seen.key ?? seen.request.uri.pathSegments.last;
        final tear = tears[key] ?? 0;
        if (tear == 50) {
          final response = seen.events()..write(event(after + 1, after + 1));
          response.write(endEvent);
          return response.close();
        }
        tears[key] = tear + 1;
        final bytes = utf8.encode(
          [
            for (var i = after + 1; i <= after + 1 + tear % 3; i++) event(i, i),
          ].join(),
        );
        // In the midst of the last event, but for each fifth time.
        await _torn(seen, bytes.sublist(0, bytes.length - tear % 5));
      },
      (rig, transport) async {
        final all = await Future.wait([
          for (var i = 0; i < 20; i++)
            transport.serverStream(numbers, 0).toList(),
        ]);
        for (final items in all) {
          equal(items, [for (var i = 1; i <= items.length; i++) i]);
          check(items.length > 50, '${items.length}');
        }
        equal(tears.values.toList(), List.filled(20, 50));
        equal(rig.count('POST'), 20);
      },
    );
  });

  test('a connection that is silent is lost', () {
    return withRig(
      (seen) async {
        final response = seen.events();
        if (seen.request.method == 'GET') {
          response.write('${event(2, 2)}$endEvent');
          return response.close();
        }
        response.write(event(1, 1));
        await response.flush();
        await seen.request.response.done; // and nothing more
      },
      (rig, transport) async {
        final states = <StreamState>[];
        final watch = Stopwatch()..start();
        final items =
            await transport
                .serverStream(
                  numbers,
                  0,
                  options: CallOptions(idle: ms(200), onState: states.add),
                )
                .toList();
        equal(items, [1, 2]);
        check(watch.elapsedMilliseconds < 1500, '${watch.elapsed}');
        equal(rig.seen.last.header('last-event-id'), '1');
        equal(states, [
          StreamState.connecting,
          StreamState.live,
          StreamState.resuming,
          StreamState.live,
          StreamState.ended,
        ]);
      },
    );
  });

  test('heartbeats keep a quiet connection', () {
    return withRig(
      (seen) async {
        final response = seen.events();
        for (var i = 0; i < 12; i++) {
          response.write(': hb\n\n');
          await response.flush();
          await Future<void>.delayed(ms(50));
        }
        response.write('${event(1, 1)}$endEvent');
        await response.close();
      },
      (rig, transport) async {
        final options = CallOptions(idle: ms(300));
        final stream = transport.serverStream(numbers, 0, options: options);
        equal(await stream.toList(), [1]);
        equal(rig.lines.length, 1);
      },
    );
  });

  test('metadata come at each connection', () {
    return withRig(
      (seen) async {
        if (seen.request.method == 'POST') {
          return _torn(seen, utf8.encode(event(1, 1)));
        }
        final response = seen.events()..write(endEvent);
        await response.close();
      },
      (rig, transport) async {
        final attempts = <int>[];
        final options = CallOptions(
          onMetadata: (metadata) => attempts.add(metadata.attempts),
        );
        final stream = transport.serverStream(numbers, 0, options: options);
        equal(await stream.toList(), [1]);
        equal(attempts, [1, 2]);
      },
    );
  });
}

void _failures() {
  test('a stream without its end is not one that ended', () {
    return withRig(
      (seen) async {
        final response = seen.events();
        if (seen.request.method == 'POST') response.write(event(1, 1));
        await response.close();
      },
      (rig, transport) async {
        final items = <int>[];
        final error = await throws<MothlightException>(
          () => transport
              .serverStream(
                numbers,
                0,
                options: CallOptions(retries: 1, timeout: ms(900)),
              )
              .forEach(items.add),
        );
        equal(items, [1]);
        // The deadline comes between two tries, or amid the last one.
        check(
          error is ConnectionException && error.received == 1 ||
              error is CallTimeoutException,
          '$error',
        );
        check(rig.lines.length > 3, 'the server keeps it: ${rig.lines}');
      },
    );
  });

  test('an open stream outlasts its retries, and 0 is none', () async {
    for (final (retries, expected) in [
      (0, [1]),
      (1, [1, 2]),
    ]) {
      var away = 4;
      await withRig(
        (seen) async {
          final isFirst = seen.request.method == 'POST';
          if (!isFirst && away-- > 0) return seen.cut();
          final response = seen.events()..write(event(isFirst ? 1 : 2, 2));
          if (!isFirst) response.write(endEvent);
          await response.close();
        },
        (rig, transport) async {
          final items = <int>[];
          await transport
              .serverStream(numbers, 0, options: CallOptions(retries: retries))
              .forEach(items.add)
              .catchError(
                (Object error) => check(
                  error is ConnectionException && error.received == 1,
                  '$error',
                ),
              );
          equal(items.length, expected.length);
          equal(rig.lines.length, retries == 0 ? 1 : 6);
        },
      );
    }
  });

  test('a declared error after items', () {
    return withRig(
      (seen) async {
        final response =
            seen.events()
              ..write(event(1, 1))
              ..write(
                'event: error\n'
                'data: {"type":"TooLong","status":400,"length":7}\n\n',
              );
        await response.close();
      },
      (rig, transport) async {
        final items = <int>[];
        final error = await throws<TooLong>(
          () => transport.serverStream(numbers, 0).forEach(items.add),
        );
        equal(error.length, 7);
        equal(items, [1]);
        equal(rig.lines.length, 1);
      },
    );
  });

  for (final (what, text) in [
    ('a gap', '${event(1, 1)}${event(3, 3)}'),
    ('a repeat', '${event(1, 1)}${event(1, 1)}'),
    ('what does not fit', event(1, 'one')),
    ('an error that is none', 'event: error\ndata: oops\n\n'),
  ]) {
    test('$what is a DecodeException', () {
      return withRig(
        (seen) async {
          if (seen.request.method == 'DELETE') return _gone(seen);
          if (seen.request.method == 'GET') return seen.answer({});
          seen.events().write(text);
          await seen.request.response.flush();
        },
        (rig, transport) async {
          await throws<DecodeException>(
            () => transport.serverStream(numbers, 0).drain<void>(),
          );
          if (what.startsWith('an error')) return; // its end was told
          await rig.until(() => rig.count('DELETE') == 1);
        },
        maxAnswer: 1000,
      );
    });
  }

  test('an item that is too long is not fetched again', () {
    return withRig(
      (seen) async {
        if (seen.request.method == 'DELETE') return _gone(seen);
        final response = seen.events()..write(event(1, 1));
        response.write(event(2, '1' * 5000));
        await response.flush();
      },
      (rig, transport) async {
        final error = await throws<ConnectionException>(
          () => transport.serverStream(numbers, 0).drain<void>(),
        );
        check(error.message.contains('longer than 1000 bytes'), '$error');
        equal(error.received, 1);
        await rig.until(() => rig.count('DELETE') == 1);
        equal((rig.count('POST'), rig.count('GET')), (1, 0));
      },
      maxAnswer: 1000,
    );
  });

  test('an answer that is no stream is foreign', () {
    return withRig((seen) => seen.text('<html>'), (rig, transport) async {
      final error = await throws<DecodeException>(
        () => transport.serverStream(numbers, 0).drain<void>(),
      );
      check(error.hint != null);
    });
  });

  test('a call that is gone, of which items came, is not run twice', () {
    return withRig(
      (seen) =>
          seen.request.method == 'POST'
              ? _torn(seen, utf8.encode(event(1, 1)))
              : seen.problem('CallNotFound', 'not_found', 404),
      (rig, transport) async {
        final error = await throws<ConnectionException>(
          () => transport.serverStream(numbers, 0).drain<void>(),
        );
        equal(error.received, 1);
        equal(rig.count('POST'), 1);
      },
    );
  });

  test('what a callback of the app throws does not end the stream', () async {
    final strays = <Object>[];
    await runZonedGuarded(
      () => withRig(
        (seen) async {
          final response = seen.events()..write('${event(1, 1)}$endEvent');
          await response.close();
        },
        (rig, transport) async {
          final options = CallOptions(
            onState: (state) => throw StateError('of the app'),
          );
          final stream = transport.serverStream(numbers, 0, options: options);
          equal(await stream.toList(), [1]);
        },
      ),
      (error, stack) => strays.add(error),
    );
    equal(strays.length, 3);
  });
}
