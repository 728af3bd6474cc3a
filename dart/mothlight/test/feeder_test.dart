/// The messages that are taken and sent.
library;

import 'dart:async';

import 'package:mothlight/src/feeder.dart';
import 'package:mothlight/src/http_adapter.dart';
import 'package:mothlight/src/outbox.dart';

import 'harness.dart';

/// A socket that nobody reads until [drained] completes.
final class _Slow implements MessageSocket {
  final List<Object> sent = [];
  Completer<void> drained = Completer<void>();

  @override
  void send(Object frame) => sent.add(frame);

  @override
  Future<void> flush() => drained.future;

  @override
  Stream<Object> get frames => const Stream<Object>.empty();

  @override
  int? get closeCode => null;

  @override
  Future<void> close([int code = 1000]) => Future<void>.value();
}

void main() {
  _feeders();
  unawaited(run(limit: const Duration(seconds: 20)));
}

Future<void> _settle() =>
    Future<void>.delayed(const Duration(milliseconds: 50));

void _feeders() {
  test('a slow socket is waited for, and its messages stay in order', () async {
    final box = Outbox(), socket = _Slow();
    final texts = [for (var i = 0; i < 30; i++) '$i'.padRight(10000)];
    final feeder = Feeder<String>(
      box,
      Stream.fromIterable(texts),
      (text) async => text,
    )..start(socket);
    await _settle();
    equal(socket.sent.length, 7); // 64 kB and what goes beyond
    socket.drained.complete();
    await _settle();
    equal(socket.sent, [...texts, endFrame]);
    feeder.stop();
  });

  test('another socket is sent what the server does not have', () async {
    final box = Outbox(), first = _Slow(), second = _Slow();
    final texts = [for (var i = 0; i < 30; i++) '$i'.padRight(10000)];
    final feeder = Feeder<String>(
      box,
      Stream.fromIterable(texts),
      (text) async => text,
    )..start(first);
    await _settle();
    check(box.rewind(2));
    feeder.start(second);
    second.drained.complete();
    await _settle();
    equal(second.sent, [...texts.skip(2), endFrame]);
    first.drained.complete(); // and no more goes there
    await _settle();
    equal(first.sent.length, 7);
    feeder.stop();
  });

  test('a full outbox stops the source', () async {
    final box = Outbox(), socket = _Slow();
    var made = 0;
    Iterable<String> texts() sync* {
      for (; made < 40;) {
        made++;
        yield 'x' * (1024 * 1024);
      }
    }

    final feeder = Feeder<String>(
      box,
      Stream.fromIterable(texts()),
      (text) async => text,
    )..start(socket);
    socket.drained.complete();
    await _settle();
    check(made < 12, '$made'); // 8 MB are held
    check(box.confirm(8));
    feeder.wake();
    await _settle();
    check(made > 12 && made < 20, '$made');
    feeder.stop();
  });
}
