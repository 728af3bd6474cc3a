/// When a call is tried again, how it ends here, and who calls.
library;

import 'dart:async';
import 'dart:math';

import 'package:mothlight/mothlight.dart';
import 'package:mothlight/src/answer.dart';
import 'package:mothlight/src/ending.dart';
import 'package:mothlight/src/metadata.dart';
import 'package:mothlight/src/patience.dart';
import 'package:mothlight/src/tokens.dart';

import 'harness.dart';
import 'rig.dart';

Patience _patience({
  Duration? timeout,
  int retries = 4,
  double draw = 1,
  Stopwatch? away,
}) => Patience(
  timeout: timeout,
  retries: retries,
  idle: const Duration(seconds: 45),
  random: _Draw(draw),
  away: away,
);

/// A watch that shows what it is set to.
final class _Watch implements Stopwatch {
  @override
  Duration elapsed = Duration.zero;

  @override
  void reset() => elapsed = Duration.zero;

  @override
  void start() {}

  @override
  Object? noSuchMethod(Invocation invocation) =>
      throw UnimplementedError('${invocation.memberName}');
}

/// Draws the same number, time and again.
final class _Draw implements Random {
  const _Draw(this.value);

  final double value;

  @override
  bool nextBool() => false;

  @override
  double nextDouble() => value;

  @override
  int nextInt(int max) => 0;
}

void main() {
  test('the bound of a pause doubles up to 5 s', () {
    final patience = _patience(retries: 9);
    final pauses = [for (var i = 0; i < 9; i++) patience.pause()];
    equal(
      [for (final pause in pauses) pause!.inMilliseconds],
      [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000],
    );
    equal(patience.pause(), null);
    patience.progress();
    equal(patience.pause(), ms(100));
  });

  test('a pause is at random from half of its bound on', () {
    equal(_patience(draw: 0).pause(), ms(50));
    equal(_patience(draw: 0.5).pause(), ms(75));
  });

  test('a call that the server keeps is tried for 30 s at least', () {
    final away = _Watch();
    final patience = _patience(retries: 2, away: away);
    Duration? pause() => patience.pause(isKept: true);
    away.elapsed = const Duration(hours: 1); // since something came: no matter
    equal([pause(), pause(), pause()], [ms(100), ms(200), ms(400)]);
    equal(patience.pause(), null); // what the server may not have
    away.elapsed = const Duration(seconds: 29);
    equal(pause(), ms(800));
    away.elapsed = const Duration(seconds: 30);
    equal(pause(), null);
    patience.progress();
    equal([pause(), pause(), pause()], [ms(100), ms(200), ms(400)]);
  });

  test('a call that the server keeps has all its tries, however long', () {
    final away = _Watch();
    final patience = _patience(retries: 2, away: away)..pause(isKept: true);
    away.elapsed = const Duration(minutes: 2); // a host that does not answer
    equal(patience.pause(isKept: true), ms(200));
    equal(patience.pause(isKept: true), null);
    equal(_patience(retries: 0).pause(isKept: true), null);
  });

  test('Retry-After is waited for, and a quarter more at most', () {
    const eight = Duration(seconds: 8);
    equal(_patience(draw: 0).pause(atLeast: eight), eight);
    equal(_patience().pause(atLeast: eight), const Duration(seconds: 10));
    equal(_patience().pause(atLeast: const Duration(seconds: 31)), null);
    equal(_patience(retries: 0).pause(atLeast: eight), null);
  });

  test('a pause fits into what is left', () {
    final patience = _patience(timeout: ms(100));
    check(patience.pause()! <= ms(50));
    equal(patience.pause(atLeast: ms(200)), null);
    equal(_patience(timeout: Duration.zero).pause(), null);
    check(_patience(timeout: Duration.zero).isOver);
  });

  test('how long an answer may be held back', () {
    equal(_patience().hold, const Duration(seconds: 20));
    equal(_patience(timeout: ms(3800)).hold, const Duration(seconds: 4));
    equal(_patience(timeout: ms(1)).hold, const Duration(seconds: 1));
  });

  test('what ends a call here ends what it waits for', () async {
    final ending = Ending();
    var heard = 0;
    ending.onEnd(() => heard++);
    final waits = [
      ending.sleep(const Duration(seconds: 9)),
      ending.guard(Completer<int>().future),
    ];
    final token = CancelToken();
    ending.watch(token, null, 'abc');
    token.cancel();
    for (final wait in waits) {
      final error = await throws<CancelledException>(() => wait);
      equal(error.callId, 'abc');
    }
    equal(heard, 1);
    ending.end(const CancelledException('later'));
    equal(ending.reason!.message, 'the call was cancelled');
    await throws<CancelledException>(() => ending.sleep(Duration.zero));
  });

  test('a call that is over is not ended', () async {
    final ending = Ending()..watch(null, ms(5), 'abc');
    ending.over();
    await Future<void>.delayed(ms(20));
    equal(ending.reason, null);
  });

  test('a token that was renewed meanwhile is not renewed again', () async {
    var forced = 0;
    final tokens = Tokens(({required force}) => force ? '${++forced}' : 'x');
    final before = tokens.generation;
    equal(await tokens.renew(before), '1');
    equal(await tokens.renew(before), 'x');
    equal(await tokens.renew(tokens.generation), '2');
    equal(forced, 2);
    equal(await Tokens(null).current(), null);
    equal(await Tokens(null).renew(0), null);
  });

  test('Retry-After in seconds, and nothing else', () {
    equal(retryAfterOf(' 12 '), const Duration(seconds: 12));
    for (final text in [null, '', '-1', '1.5', 'soon', '9999999999']) {
      equal(retryAfterOf(text), null, '$text');
    }
  });

  test('Server-Timing, also of strangers', () {
    for (final text in [null, '', ',;=,', 'a b;dur=1', 'x' * 9000]) {
      equal(parseServerTiming(text), <String, Timing>{}, '$text');
    }
    final many = [for (var i = 0; i < 100; i++) 'n$i'].join(',');
    equal(parseServerTiming(many).length, 32);
    final found = parseServerTiming(
      'a;DUR=2;dur=3;desc="un;fin,ished\\"", a;dur=9, b;dur=NaN, '
      'c;desc=plain;dur=1e99, d;desc="never closed;dur=5',
    );
    equal(found.keys.toList(), ['a', 'b', 'c', 'd']);
    equal(found['a']!.duration, ms(2));
    equal(found['a']!.description, 'un;fin,ished"');
    equal(found['b']!.duration, null);
    equal(found['c']!.description, 'plain');
    equal(found['c']!.duration, null);
  });

  run();
}
