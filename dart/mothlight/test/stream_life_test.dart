/// Streams that are left, and paused.
library;

import 'dart:async';
import 'dart:io';

import 'package:mothlight/generated.dart';

import 'harness.dart';
import 'rig.dart';

int _after(Seen seen) => int.parse(seen.header('last-event-id') ?? '0');

Future<void> _gone(Seen seen) => seen.text('', status: 204);

void main() {
  _leaving();
  _pausing();
  run();
}

/// A server whose stream gives one item, and then only what it must; tells
/// when its connection is closed.
FutureOr<void> Function(Seen) _quiet(Completer<void> closed) => (seen) async {
  if (seen.request.method == 'DELETE') return _gone(seen);
  final socket = await seen.events().detachSocket();
  final bytes = event(1, 1);
  socket.write('${bytes.length.toRadixString(16)}\r\n$bytes\r\n');
  await socket.flush();
  await socket.drain<void>().catchError((Object _) {});
  if (!closed.isCompleted) closed.complete();
  socket.destroy();
};

void _leaving() {
  test('to cancel the subscription of a silent stream ends the call', () async {
    final closed = Completer<void>();
    await withRig(_quiet(closed), (rig, transport) async {
      final first = Completer<void>();
      final subscription = transport
          .serverStream(numbers, 0)
          .listen((_) => first.complete());
      await first.future;
      final watch = Stopwatch()..start();
      await subscription.cancel();
      await closed.future;
      await rig.until(() => rig.count('DELETE') == 1);
      check(watch.elapsedMilliseconds < 1000, '${watch.elapsed}');
      equal(rig.lines.last, 'DELETE /calls/${rig.seen.first.key}');
    });
  });

  test('to leave the loop ends the call', () async {
    final closed = Completer<void>();
    await withRig(_quiet(closed), (rig, transport) async {
      await for (final item in transport.serverStream(numbers, 0)) {
        equal(item, 1);
        break;
      }
      await closed.future;
      await rig.until(() => rig.count('DELETE') == 1);
    });
  });

  test('to cancel before the head has come ends the call', () {
    return withRig(
      (seen) async {
        if (seen.request.method == 'DELETE') await _gone(seen);
      },
      (rig, transport) async {
        final stream = transport.serverStream(numbers, 0);
        final subscription = stream.listen((_) {});
        await rig.until(() => rig.seen.isNotEmpty);
        await subscription.cancel();
        await rig.until(() => rig.count('DELETE') == 1);
      },
    );
  });

  test('a token and a deadline end it', () async {
    for (final isToken in [true, false]) {
      final closed = Completer<void>();
      await withRig(_quiet(closed), (rig, transport) async {
        final token = CancelToken();
        final options =
            isToken
                ? CallOptions(cancel: token)
                : CallOptions(timeout: ms(200));
        final items = <int>[];
        final error = await throws<MothlightException>(
          () => transport.serverStream(numbers, 0, options: options).forEach((
            item,
          ) {
            items.add(item);
            token.cancel();
          }),
        );
        check(isToken == error is CancelledException, '$error');
        check(isToken != error is CallTimeoutException, '$error');
        equal(items, [1]);
        await closed.future;
        await rig.until(() => rig.count('DELETE') == 1);
      });
    }
  });

  test('a stream that ended is not cancelled', () {
    return withRig(
      (seen) async {
        final response = seen.events()..write('${event(1, 1)}$endEvent');
        await response.close();
      },
      (rig, transport) async {
        final stream = transport.serverStream(numbers, 0);
        equal(await stream.toList(), [1]);
        await Future<void>.delayed(ms(50));
        equal(rig.count('DELETE'), 0);
      },
    );
  });

  test('streams one after the other share a connection', () async {
    final ports = <int>{};
    var ended = 0;
    await withRig(
      (seen) async {
        ports.add(seen.request.connectionInfo!.remotePort);
        final response = seen.events()..write('${event(1, 1)}$endEvent');
        await response.flush();
        await Future<void>.delayed(ms(20)); // the body's own end comes later
        await response.close();
        ended++;
      },
      (rig, transport) async {
        for (var i = 0; i < 5; i++) {
          equal(await transport.serverStream(numbers, 0).toList(), [1]);
          await rig.until(() => ended > i);
          await Future<void>.delayed(ms(100));
        }
        equal(ports.length, 1);
      },
    );
  });
}

void _pausing() {
  test('the app in the background has no connection, and goes on', () async {
    var open = 0;
    await withRig(
      (seen) async {
        final after = _after(seen);
        final socket = await seen.events().detachSocket();
        open++;
        var isOpen = true;
        unawaited(
          socket.drain<void>().catchError((Object _) {}).whenComplete(() {
            isOpen = false;
            open--;
          }),
        );
        for (var i = after + 1; i <= 40 && isOpen; i++) {
          final text = i == 40 ? endEvent : event(i, i);
          socket.write('${text.length.toRadixString(16)}\r\n$text\r\n');
          await Future<void>.delayed(ms(10));
        }
        if (isOpen) socket.write('0\r\n\r\n');
        await socket.flush();
        socket.destroy();
      },
      (rig, transport) async {
        final states = <StreamState>[];
        final items = <int>[];
        final options = CallOptions(onState: states.add);
        final stream = transport.serverStream(numbers, 0, options: options);
        final done = Completer<void>();
        stream.listen(items.add, onDone: done.complete);
        await rig.until(() => items.length >= 5);
        transport.pause();
        await rig.until(() => open == 0);
        final count = items.length;
        await Future<void>.delayed(ms(100));
        equal(items.length, count);
        equal(rig.lines.length, 1);
        transport.resume();
        await done.future;
        equal(items, [for (var i = 1; i < 40; i++) i]);
        equal(rig.count('POST'), 1);
        equal(states, [
          StreamState.connecting,
          StreamState.live,
          StreamState.paused,
          StreamState.resuming,
          StreamState.live,
          StreamState.ended,
        ]);
      },
    );
  });

  test('a stream that is begun in the background waits', () {
    return withRig(
      (seen) async {
        final response = seen.events()..write('${event(1, 1)}$endEvent');
        await response.close();
      },
      (rig, transport) async {
        transport.pause();
        final items = transport.serverStream(numbers, 0).toList();
        await Future<void>.delayed(ms(50));
        equal(rig.lines, <String>[]);
        transport.resume();
        equal(await items, [1]);
      },
    );
  });

  test('a listener that pauses stops the server', () async {
    var sent = 0;
    final text = 'x' * 10000;
    await withRig(
      (seen) async {
        if (seen.request.method == 'DELETE') return _gone(seen);
        final HttpResponse response = seen.events();
        for (var i = 1; i <= 10000; i++) {
          response.write(event(i, text));
          await response.flush();
          sent = i;
        }
      },
      (rig, transport) async {
        final subscription = transport
            .serverStream(
              method<int, String>(
                'texts',
                Cardinality.serverStream,
                readString,
              ),
              0,
              options: CallOptions(idle: ms(1000)),
            )
            .listen((_) {});
        await rig.until(() => sent > 10);
        subscription.pause();
        var before = -1;
        while (before != sent) {
          before = sent;
          await Future<void>.delayed(ms(200));
        }
        check(sent < 9000, '$sent');
        // Longer than idle: it is the listener that is silent.
        await Future<void>.delayed(ms(1200));
        equal(rig.lines.length, 1);
        equal(sent, before);
        subscription.resume();
        await rig.until(() => sent > before + 500);
        equal(rig.lines.length, 1);
        await subscription.cancel();
      },
    );
  });
}
