/// Streams, one way and both ways.
library;

import 'dart:async';

import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';
import 'live.dart';

/// Streams of answers.
void streams() {
  withCalls('10,000 items in order', (api, _) async {
    equal(await api.count(to: 10000).toList(), [
      for (var i = 1; i <= 10000; i++) i,
    ]);
  });
  withCalls('30 streams at a time', (api, _) async {
    final found = await Future.wait([
      for (var i = 1; i <= 30; i++) api.count(to: i * 10).toList(),
    ]);
    for (final (at, items) in found.indexed) {
      equal(items.length, (at + 1) * 10);
    }
  });
  withCalls('variants, and an error after items', (api, _) async {
    equal(await api.say(Speech(text: 'a, b')).toList(), [
      Word(text: 'a'),
      Pause(seconds: 1),
      Word(text: 'b'),
    ]);
    final items = <Event>[];
    await throws<TextTooLong>(
      () => api.say(Speech(text: 'a b c', failAfter: 2)).forEach(items.add),
    );
    equal(items, [Word(text: 'a'), Word(text: 'b')]);
  });
  withCalls('to stop listening reaches the server', (api, _) async {
    final before = await metric('drip', 'cancelled');
    equal(await api.drip(0.01).take(5).toList(), [1, 2, 3, 4, 5]);
    await counted('drip', 'cancelled', before);
  });
  withCalls('to stop listening to a silent stream, too', (api, _) async {
    final before = await metric('drip', 'cancelled');
    final first = Completer<void>();
    final listening = api.drip(60).listen((_) => first.complete());
    await first.future;
    final watch = Stopwatch()..start();
    await listening.cancel();
    check(watch.elapsed < const Duration(seconds: 1), '${watch.elapsed}');
    await counted('drip', 'cancelled', before);
  });
  withCalls('the deadline of a stream', (api, _) async {
    final items = <int>[];
    await throws<CallTimeoutException>(
      () => api
          .drip(
            0.05,
            options: const CallOptions(timeout: Duration(milliseconds: 400)),
          )
          .forEach(items.add),
    );
    check(items.length > 2 && items.length < 12, '$items');
  });
  withCalls('who listens slowly slows the model', (api, _) async {
    const count = 3000, size = 50000; // 150 MB
    final before = runs('flood');
    final items = StreamIterator(api.flood(Flood(size: size, count: count)));
    for (var i = 0; i < 5; i++) {
      check(await items.moveNext());
    }
    var made = 0; // until no more are
    await until(() async {
      final now = runs('flood') - before;
      await Future<void>.delayed(const Duration(milliseconds: 500));
      made = runs('flood') - before;
      return made == now;
    }, 'it waits');
    check(made < count ~/ 2, '$made of $count were made for 5 listened to');
    for (var i = 5; i < 200; i++) {
      check(await items.moveNext());
      check(items.current.startsWith('$i:'), 'item $i');
    }
    await items.cancel();
  });
  withCalls('pause and resume of a subscription lose nothing', (api, _) async {
    final items = <int>[], done = Completer<void>();
    final listening = api.count(to: 2000).listen(items.add);
    listening.onDone(done.complete);
    for (var i = 0; i < 5; i++) {
      listening.pause();
      await Future<void>.delayed(const Duration(milliseconds: 30));
      listening.resume();
      await Future<void>.delayed(const Duration(milliseconds: 5));
    }
    await done.future;
    equal(items, [for (var i = 1; i <= 2000; i++) i]);
  });
  withCalls('the app goes to the background and comes back', (
    api,
    transport,
  ) async {
    final items = <int>[], states = <StreamState>[], got = Completer<void>();
    final listening = api
        .drip(0.02, options: CallOptions(onState: states.add))
        .listen((item) {
          items.add(item);
          if (item == 60) got.complete();
        });
    await until(() => items.length > 5, 'it runs');
    transport.pause();
    await Future<void>.delayed(const Duration(milliseconds: 100));
    final before = items.length;
    await Future<void>.delayed(const Duration(milliseconds: 300));
    equal(items.length, before);
    equal(states.last, StreamState.paused);
    transport.resume();
    await got.future;
    await listening.cancel();
    equal(items.take(60).toList(), [for (var i = 1; i <= 60; i++) i]);
    check(states.contains(StreamState.resuming), '$states');
  });
}

/// Streams both ways.
void conversations() {
  withCalls('1,000 both ways', (api, _) async {
    final numbers = Stream.fromIterable([for (var i = 0; i < 1000; i++) i]);
    equal(await api.double_(numbers).toList(), [
      for (var i = 0; i < 1000; i++) 2 * i,
    ]);
  });
  withCalls('10,000 messages, one answer', (api, _) async {
    final numbers = Stream.fromIterable([for (var i = 0; i < 10000; i++) i]);
    equal(await api.total(numbers), 49995000);
  });
  withCalls('none at all', (api, _) async {
    equal(await api.double_(const Stream.empty()).toList(), <int>[]);
    equal(await api.total(const Stream.empty()), 0);
  });
  withCalls('a message at a time', (api, _) async {
    final numbers = StreamController<int>();
    final items = StreamIterator(api.double_(numbers.stream));
    for (var i = 1; i <= 20; i++) {
      numbers.add(i);
      check(await items.moveNext());
      equal(items.current, 2 * i);
    }
    unawaited(numbers.close());
    check(!await items.moveNext());
  });
  withCalls('to leave a conversation reaches the server', (api, _) async {
    final before = await metric('double', 'cancelled');
    final numbers = StreamController<int>();
    final items = StreamIterator(api.double_(numbers.stream));
    numbers.add(1);
    check(await items.moveNext());
    await items.cancel();
    check(!numbers.hasListener, 'nobody takes messages any more');
    await counted('double', 'cancelled', before);
    unawaited(numbers.close());
  });
  withCalls('an error of the messages is the error of the call', (
    api,
    _,
  ) async {
    final before = await metric('double', 'cancelled');
    final numbers = Stream<int>.multi((controller) {
      controller
        ..add(1)
        ..addError(StateError('the microphone is gone'));
    });
    await throws<StateError>(() => api.double_(numbers).toList());
    await counted('double', 'cancelled', before);
  });
  withCalls('the app in the background, both ways', (api, transport) async {
    final numbers = StreamController<int>();
    final items = StreamIterator(api.double_(numbers.stream));
    numbers.add(1);
    check(await items.moveNext());
    transport.pause();
    numbers
      ..add(2)
      ..add(3);
    await Future<void>.delayed(const Duration(milliseconds: 150));
    transport.resume();
    check(await items.moveNext());
    equal(items.current, 4);
    check(await items.moveNext());
    equal(items.current, 6);
    unawaited(numbers.close());
    check(!await items.moveNext());
  });
}
