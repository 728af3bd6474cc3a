/// Calls with one answer: tries and ends.
library;

import 'dart:async';

import 'package:mothlight/mothlight.dart';

import 'harness.dart';
import 'rig.dart';

void main() {
  _tries();
  _ends();
  run(limit: const Duration(seconds: 20));
}

void _tries() {
  test('a lost connection is tried again, with the same key', () {
    var tries = 0;
    return withRig((seen) => ++tries < 3 ? seen.cut() : seen.answer('hi'), (
      rig,
      transport,
    ) async {
      CallMetadata? metadata;
      final answer = await transport.unary(
        echo,
        'hi',
        options: CallOptions(onMetadata: (found) => metadata = found),
      );
      equal(answer, 'hi');
      equal(metadata!.attempts, 3);
      equal(rig.lines, List.filled(3, 'POST /try/echo'));
      equal({for (final seen in rig.seen) seen.body}.length, 1);
      check(RegExp(r'^[0-9a-f]{32}$').hasMatch(rig.seen.first.key!));
      equal({for (final seen in rig.seen) seen.key}.length, 1);
      final left = [
        for (final seen in rig.seen)
          double.parse(seen.header('request-timeout')!),
      ];
      check(left[0] > 59 && left[0] <= 60 && left[2] < left[0], '$left');
    });
  });

  test('two calls have two keys', () {
    return withRig((seen) => seen.answer('x'), (rig, transport) async {
      await transport.unary(echo, 'x');
      await transport.unary(echo, 'x');
      check(rig.seen[0].key != rig.seen[1].key);
    });
  });

  test('after its retries a connection has failed', () {
    return withRig((seen) => seen.cut(), (rig, transport) async {
      final error = await throws<ConnectionException>(
        () =>
            transport.unary(echo, 'x', options: const CallOptions(retries: 2)),
      );
      equal(rig.lines.length, 3);
      check(error.isTransient && error.hint != null && error.callId != null);
      await Future<void>.delayed(ms(30));
      equal(rig.count('DELETE'), 0);
    });
  });

  test('Overloaded is tried again after Retry-After', () {
    var tries = 0;
    final watch = Stopwatch()..start();
    return withRig(
      (seen) =>
          ++tries == 1
              ? seen.problem(
                'Overloaded',
                'unavailable',
                503,
                headers: {'retry-after': '1'},
              )
              : seen.answer('y'),
      (rig, transport) async {
        equal(await transport.unary(echo, 'x'), 'y');
        check(watch.elapsed >= const Duration(seconds: 1), '${watch.elapsed}');
        equal(rig.seen[0].key, rig.seen[1].key);
      },
    );
  });

  test('a Retry-After beyond the deadline is an OverloadedException', () {
    return withRig(
      (seen) => seen.problem(
        'Overloaded',
        'unavailable',
        503,
        headers: {'retry-after': '20'},
      ),
      (rig, transport) async {
        final error = await throws<OverloadedException>(
          () => transport.unary(
            echo,
            'x',
            options: const CallOptions(timeout: Duration(seconds: 5)),
          ),
        );
        equal(error.retryAfter, const Duration(seconds: 20));
        equal(rig.lines.length, 1);
      },
    );
  });

  test('Unavailable is what became of the call: not tried again', () {
    return withRig(
      (seen) => seen.problem(
        'Unavailable',
        'unavailable',
        503,
        headers: {'retry-after': '0'},
      ),
      (rig, transport) async {
        final error = await throws<ApiException>(
          () => transport.unary(echo, 'x'),
        );
        check(error.isTransient);
        equal(rig.lines.length, 1);
      },
    );
  });

  test("a proxy's 502 is tried again", () {
    var tries = 0;
    return withRig(
      (seen) =>
          ++tries == 1
              ? seen.text('<h1>Bad gateway</h1>', status: 502)
              : seen.answer('y'),
      (rig, transport) async => equal(await transport.unary(echo, 'x'), 'y'),
    );
  });

  test('after silence the call is asked for', () {
    var asked = 0;
    return withRig(
      (seen) async {
        if (seen.request.method == 'POST') return; // no answer, ever
        await (++asked < 3
            ? seen.answer({'state': 'running'}, status: 202)
            : seen.answer('late'));
      },
      (rig, transport) async {
        final answer = await transport.unary(
          echo,
          'x',
          options: CallOptions(idle: ms(150)),
        );
        equal(answer, 'late');
        final key = rig.seen.first.key;
        equal(rig.lines, [
          'POST /try/echo',
          for (var i = 0; i < 3; i++) 'GET /calls/$key',
        ]);
        equal(rig.seen[1].header('prefer'), 'wait=1');
      },
    );
  });

  test('a call that is not known is made again', () {
    var posts = 0;
    return withRig(
      (seen) async {
        if (seen.request.method == 'GET') {
          await seen.problem('CallNotFound', 'not_found', 404);
        } else if (++posts == 2) {
          await seen.answer('made');
        }
      },
      (rig, transport) async {
        final options = CallOptions(idle: ms(100));
        equal(await transport.unary(echo, 'x', options: options), 'made');
        equal(rig.seen.first.key, rig.seen.last.key);
        equal(rig.count('POST'), 2);
      },
    );
  });
}

void _ends() {
  test('a token that is cancelled ends the call here and there', () {
    return withRig(
      (seen) async {
        if (seen.request.method == 'DELETE') await seen.text('', status: 204);
      },
      (rig, transport) async {
        final token = CancelToken();
        final call = transport.unary(
          echo,
          'x',
          options: CallOptions(cancel: token),
        );
        call.ignore();
        await rig.until(() => rig.seen.isNotEmpty);
        final watch = Stopwatch()..start();
        token.cancel();
        final error = await throws<CancelledException>(() => call);
        check(watch.elapsedMilliseconds < 100, '${watch.elapsed}');
        equal(error.callId, rig.seen.first.key);
        await rig.until(() => rig.count('DELETE') == 1);
        equal(rig.lines.last, 'DELETE /calls/${rig.seen.first.key}');
      },
    );
  });

  test('a cancel that comes before its call is sent again', () {
    var deletes = 0;
    return withRig(
      (seen) async {
        if (seen.request.method != 'DELETE') return;
        await (++deletes < 3
            ? seen.problem('CallNotFound', 'not_found', 404)
            : seen.text('', status: 204));
      },
      (rig, transport) async {
        final token = CancelToken();
        final call = transport.unary(
          echo,
          'x',
          options: CallOptions(cancel: token),
        );
        call.ignore();
        await rig.until(() => rig.seen.isNotEmpty);
        token.cancel();
        await throws<CancelledException>(() => call);
        await rig.until(() => rig.count('DELETE') == 3);
      },
    );
  });

  test('a token that is cancelled already sends nothing', () {
    return withRig((seen) => seen.answer('x'), (rig, transport) async {
      final options = CallOptions(cancel: CancelToken()..cancel());
      await throws<CancelledException>(
        () => transport.unary(echo, 'x', options: options),
      );
      await Future<void>.delayed(ms(30));
      equal(rig.lines, <String>[]);
    });
  });

  test('a deadline ends the call here and there', () {
    return withRig(
      (seen) async {
        if (seen.request.method == 'DELETE') await seen.text('', status: 204);
      },
      (rig, transport) async {
        final watch = Stopwatch()..start();
        await throws<CallTimeoutException>(
          () => transport.unary(
            echo,
            'x',
            options: CallOptions(timeout: ms(200)),
          ),
        );
        final elapsed = watch.elapsedMilliseconds;
        check(elapsed >= 690 && elapsed < 1000, '$elapsed ms'); // with slack
        equal(rig.seen.first.header('request-timeout')!.substring(0, 3), '0.1');
        await rig.until(() => rig.count('DELETE') == 1);
      },
    );
  });

  test('Duration.zero is no deadline', () {
    return withRig((seen) => seen.answer('x'), (rig, transport) async {
      const options = CallOptions(timeout: Duration.zero);
      await transport.unary(echo, 'x', options: options);
      equal(rig.seen.single.header('request-timeout'), null);
    });
  });

  test('the newest call wins, here at once', () {
    return withRig(
      (seen) async {
        if (seen.body == '"new"') await seen.answer('new');
      },
      (rig, transport) async {
        const options = CallOptions(supersede: SupersedeKey('search box'));
        final older = transport.unary(echo, 'old', options: options);
        older.ignore();
        await rig.until(() => rig.seen.isNotEmpty);
        final next = transport.unary(echo, 'next', options: options);
        next.ignore();
        await throws<SupersededException>(() => older);
        final newer = transport.unary(echo, 'new', options: options);
        await throws<SupersededException>(() => next);
        equal(await newer, 'new');
        final key = rig.seen.first.header('supersede-key')!;
        check(RegExp(r'^[0-9a-f]{32}/search%20box$').hasMatch(key), key);
        equal(rig.seen.last.header('supersede-key'), key);
        equal(rig.count('DELETE'), 0);
      },
    );
  });

  for (final (how, newest) in [
    ('refused', 'bad'),
    ('cancelled before it is sent', 'unsent'),
  ]) {
    test('the newest call is $how: the older one ends on the server', () {
      final options = CallOptions(
        supersede: const SupersedeKey('box'),
        cancel: CancelToken(),
      );
      return withRig(
        (seen) async {
          if (seen.request.method == 'DELETE') {
            await seen.text('', status: 204);
          } else if (seen.body == '"bad"') {
            await seen.problem('InvalidRequest', 'invalid_argument', 422);
          }
        },
        (rig, transport) async {
          final key = CallOptions(supersede: options.supersede);
          final older = transport.unary(echo, 'old', options: key);
          older.ignore();
          await rig.until(() => rig.seen.isNotEmpty);
          // One between them, which is not sent, changes nothing.
          transport.unary(echo, 'between', options: key).ignore();
          final newer = transport.unary(echo, newest, options: options);
          newer.ignore();
          if (newest == 'unsent') options.cancel!.cancel();
          await throws<SupersededException>(() => older);
          await throws<MothlightException>(() => newer);
          await rig.until(
            () => rig.lines.contains('DELETE /calls/${rig.seen.first.key}'),
          );
          equal(rig.seen.any((seen) => seen.body == '"between"'), false);
        },
      );
    });
  }

  test('the newest call is made anew where an older one overtook it', () {
    var tries = 0;
    return withRig(
      (seen) =>
          ++tries == 1
              ? seen.problem('Superseded', 'aborted', 409)
              : seen.answer('new'),
      (rig, transport) async {
        const options = CallOptions(supersede: SupersedeKey('box'));
        equal(await transport.unary(echo, 'x', options: options), 'new');
        check(rig.seen[0].key != rig.seen[1].key);
      },
    );
  });

  test('to close the transport ends its calls', () {
    return withRig(
      (seen) async {
        if (seen.request.method == 'DELETE') await seen.text('', status: 204);
      },
      (rig, transport) async {
        final call = transport.unary(echo, 'x');
        call.ignore();
        await rig.until(() => rig.seen.isNotEmpty);
        transport.close();
        await throws<CancelledException>(() => call);
        await rig.until(() => rig.count('DELETE') == 1);
        await throws<CancelledException>(() => transport.unary(echo, 'x'));
      },
    );
  });
}
