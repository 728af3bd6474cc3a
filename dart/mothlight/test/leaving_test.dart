/// Calls that take a stream of messages: servers that lie or vanish, and calls
/// that are left.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:typed_data';

import 'package:mothlight/mothlight.dart';
import 'package:mothlight/src/outbox.dart';

import 'harness.dart';
import 'rig.dart' show ms;
import 'sockets.dart';

void main() {
  _lies();
  _leaving();
  unawaited(run(limit: const Duration(seconds: 20)));
}

void _lies() {
  for (final (name, frames) in [
    ('no greeting', ['"item"']),
    ('no greeting but a control frame', ['{"received": 0}']),
    ('bytes for a greeting', [Uint8List(3)]),
    ('messages that were never sent', ['{"call": "c", "received": 9}']),
    ('a count that is none', ['{"call": "c", "received": "1"}']),
    ('more than was sent', ['{"call": "c"}', '{"received": 1}']),
    ('no JSON', ['{"call": "c"}', '{"a": ']),
    ('another type', ['{"call": "c"}', '{"a": 1}']),
    ('bytes where none are due', ['{"call": "c"}', Uint8List(3)]),
  ]) {
    test('a server that says $name', () async {
      final server = await SocketServer.start((visit) async {
        frames.forEach(visit.socket.add);
        await visit.hear();
      });
      final transport = server.transport();
      final error = await throws<DecodeException>(
        () => transport.duplex(shout, silent()).toList(),
      );
      check(error.message.contains('Try.shout'), '$error');
      await server.left();
      equal(server.visits, 1, 'to try again would not help');
      transport.close();
      await server.stop();
    });
  }

  test('a call that a new server does not know is not begun again', () async {
    final server = await SocketServer.start((visit) async {
      visit.greet();
      if (visit.number == 2) return;
      await visit.hear();
      visit
        ..say({'received': 1})
        ..cut();
    });
    final transport = server.transport();
    final error = await throws<ConnectionException>(
      () => transport.duplex(shout, Stream.value('a')).toList(),
    );
    check(error.message.contains('does not have the call'), '$error');
    transport.close();
    await server.stop();
  });

  test('an item that is too long', () async {
    final server = await SocketServer.start((visit) async {
      visit.greet();
      visit.say('x' * 2000);
      await visit.hear();
    });
    final transport = server.transport(maxAnswer: 1000);
    final error = await throws<ConnectionException>(
      () => transport.duplex(shout, silent()).toList(),
    );
    check(error.message.contains('1000 bytes'), '$error');
    transport.close();
    await server.stop();
  });

  test('a socket that is closed for good is not tried again', () async {
    final server = await SocketServer.start((visit) async {
      visit.greet();
      await visit.socket.close(1008);
    });
    final transport = server.transport();
    final error = await throws<ConnectionException>(
      () => transport.duplex(shout, silent()).toList(),
    );
    check(error.message.contains('1008'), '$error');
    equal(server.visits, 1);
    transport.close();
    await server.stop();
  });
}

void _leaving() {
  for (final how in ['cancel', 'token', 'error', 'timeout', 'close']) {
    test('$how: the server and the messages are left', () async {
      final heard = <Object?>[];
      final gone = Completer<void>();
      final server = await SocketServer.start((visit) async {
        visit
          ..greet()
          ..say('A');
        for (Object? frame; (frame = await visit.hear()) != null;) {
          heard.add(frame);
        }
        gone.complete();
      });
      final transport = server.transport();
      final messages = StreamController<String>(), token = CancelToken();
      var isLeft = false;
      messages.onCancel = () => isLeft = true;
      final first = Completer<void>(), failed = Completer<Object>();
      final options = CallOptions(
        cancel: token,
        timeout: how == 'timeout' ? ms(300) : null,
      );
      final reading = transport
          .duplex(shout, messages.stream, options: options)
          .listen((_) => first.complete(), onError: failed.complete);
      await first.future;
      switch (how) {
        case 'cancel':
          await reading.cancel();
        case 'token':
          token.cancel();
          check(await failed.future is CancelledException);
        case 'error':
          messages.addError(const FormatException('of the microphone'));
          check(await failed.future is FormatException);
        case 'timeout':
          check(await failed.future is CallTimeoutException);
        case 'close':
          transport.close();
          check(await failed.future is CancelledException);
      }
      await server.left();
      await gone.future;
      check(isLeft, 'the messages are not listened to any more');
      equal(heard, [
        {'cancel': true},
      ]);
      transport.close();
      await server.stop();
    });
  }

  test('cancelled while it connects, and while it waits', () async {
    final server = await SocketServer.start(
      (visit) => visit.cut(),
      refuse: (request) => true, // and never answers
    );
    final transport = server.transport();
    final items = transport.duplex(shout, silent()).listen(null);
    while (server.lines.isEmpty) {
      await Future<void>.delayed(ms(2));
    }
    await items.cancel();
    await server.left();
    server
      ..refuse = null
      ..lines.clear();
    final token = CancelToken();
    final states = <StreamState>[];
    final failed = throws<CancelledException>(
      () =>
          transport
              .duplex(
                shout,
                silent(),
                options: CallOptions(
                  cancel: token,
                  retries: 1000,
                  onState: states.add,
                ),
              )
              .toList(),
    );
    while (server.visits < 3) {
      await Future<void>.delayed(ms(2));
    }
    token.cancel();
    await failed;
    final visits = server.visits;
    await Future<void>.delayed(ms(500));
    check(server.visits <= visits + 1, 'no connection is made any more');
    transport.close();
    await server.stop();
  });

  test('a paused listener pauses the server, its messages too', () async {
    const count = 20000;
    var said = 0, made = 0;
    final server = await SocketServer.start((visit) async {
      visit.greet();
      unawaited(() async {
        while (await visit.hear() != null) {}
      }());
      await visit.socket.addStream(
        Stream.fromIterable(
          Iterable.generate(count, (i) {
            said++;
            return jsonEncode('x' * 4000);
          }),
        ),
      );
      visit.say({'end': true});
    });
    final transport = server.transport();
    final messages = Stream.fromIterable(
      Iterable.generate(count, (i) {
        made++;
        return 'y';
      }),
    );
    var got = 0;
    final done = Completer<void>();
    final reading = transport
      .duplex(shout, messages)
      .listen((_) => got++, onDone: done.complete)..pause();
    for (var before = -1; before != said + made || said == 0;) {
      before = said + made;
      await Future<void>.delayed(ms(200));
    }
    // Of the 80 MB the two kernels may hold up to 33 + 4 (Linux, tcp_rmem).
    check(said < count * 3 ~/ 4, '$said items went to a paused listener');
    check(made <= maxHeld + 1, '$made messages were taken');
    equal(got, 0);
    reading.resume();
    await done.future;
    equal(got, count);
    transport.close();
    await server.stop();
  });
}
