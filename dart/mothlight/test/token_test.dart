/// Tokens, contracts, and calls in the background.
library;

import 'dart:async';

import 'package:mothlight/mothlight.dart';

import 'harness.dart';
import 'rig.dart';

void main() {
  _tokens();
  _contracts();
  _background();
  run(limit: const Duration(seconds: 20));
}

void _tokens() {
  FutureOr<void> guarded(Seen seen) =>
      seen.header('authorization') == 'Bearer good'
          ? seen.answer('in')
          : seen.problem('Unauthenticated', 'unauthenticated', 401);

  test('a refused token is asked for anew, once for all who wait', () async {
    var token = 'old';
    final asked = <bool>[];
    await withRig(
      guarded,
      token: ({required force}) async {
        asked.add(force);
        if (force) {
          await Future<void>.delayed(ms(100));
          token = 'good';
        }
        return token;
      },
      (rig, transport) async {
        final answers = await Future.wait([
          for (var i = 0; i < 20; i++) transport.unary(echo, '$i'),
        ]);
        equal(answers, List.filled(20, 'in'));
        equal(asked.where((force) => force).length, 1);
        equal(await transport.unary(echo, 'x'), 'in');
        equal(rig.lines.length, 41);
        equal({for (final seen in rig.seen) seen.key}.length, 21);
      },
    );
  });

  test('a source need not keep the token that it was forced to make', () async {
    final asked = <bool>[];
    await withRig(
      guarded,
      token: ({required force}) {
        asked.add(force);
        return force ? 'good' : 'old';
      },
      (rig, transport) async {
        equal(await transport.unary(echo, 'a'), 'in');
        equal(await transport.unary(echo, 'b'), 'in');
        equal(asked, [false, true, false, false]);
        equal(rig.lines.length, 3);
      },
    );
  });

  test(
    'a token that is refused twice is an UnauthenticatedException',
    () async {
      var forced = 0;
      await withRig(
        guarded,
        token: ({required force}) {
          if (force) forced++;
          return 'bad';
        },
        (rig, transport) async {
          final error = await throws<UnauthenticatedException>(
            () => transport.unary(echo, 'x'),
          );
          equal(error.status, 401);
          equal(forced, 1);
          equal(rig.lines.length, 2);
        },
      );
    },
  );

  test('one 401 does not make a source without a newer token mute', () async {
    var isOut = false; // the server reads its keys anew
    final sent = <String?>[];
    await withRig(
      (seen) {
        sent.add(seen.header('authorization'));
        return isOut
            ? seen.problem('Unauthenticated', 'unauthenticated', 401)
            : guarded(seen);
      },
      token: ({required force}) => force ? null : 'good',
      (rig, transport) async {
        equal(await transport.unary(echo, 'a'), 'in');
        isOut = true;
        await throws<UnauthenticatedException>(
          () => transport.unary(echo, 'b'),
        );
        isOut = false;
        equal(await transport.unary(echo, 'c'), 'in');
        equal(sent, List.filled(3, 'Bearer good'));
      },
    );
  });

  test('a source that fails is tried again, as the network is', () async {
    var asked = 0;
    await withRig(
      guarded,
      options: const CallOptions(retries: 2),
      token: ({required force}) {
        if (++asked % 3 > 0) throw const FormatException('no network');
        return 'good';
      },
      (rig, transport) async {
        equal(await transport.unary(echo, 'x'), 'in');
        equal((asked, rig.lines.length), (3, 1));
        final error = await throws<ConnectionException>(
          () => transport.unary(
            echo,
            'x',
            options: const CallOptions(retries: 1),
          ),
        );
        check(error.message.contains('no network'), error.message);
        check(error.hint!.contains('token'), '${error.hint}');
        check(error.cause is FormatException, '${error.cause}');
        equal((asked, rig.lines.length), (5, 1));
      },
    );
  });

  test('a source that fails to renew is asked for a new one again', () async {
    final asked = <bool>[];
    await withRig(
      guarded,
      token: ({required force}) {
        asked.add(force);
        if (!force) return 'old';
        // What is transient of our own exceptions counts as well.
        if (asked.length < 4) throw const CallTimeoutException('no network');
        return 'good';
      },
      (rig, transport) async {
        equal(await transport.unary(echo, 'x'), 'in');
        equal(asked, [false, true, false, true, false]);
        equal(rig.lines.length, 3);
      },
    );
  });

  test('a source may say itself that nobody is signed in', () async {
    await withRig(
      guarded,
      token: ({required force}) {
        throw UnauthenticatedException(
          Problem(
            type: 'Unauthenticated',
            code: Code.unauthenticated,
            status: 401,
            detail: 'signed out',
            fields: const {},
          ),
        );
      },
      (rig, transport) async {
        final error = await throws<UnauthenticatedException>(
          () => transport.unary(echo, 'x'),
        );
        equal(error.message, 'signed out');
        equal(rig.lines, <String>[]);
      },
    );
  });

  test('a source that never answers is bounded by the deadline', () async {
    await withRig(
      guarded,
      token: ({required force}) {
        return Completer<String?>().future;
      },
      (rig, transport) async {
        await throws<CallTimeoutException>(
          () =>
              transport.unary(echo, 'x', options: CallOptions(timeout: ms(50))),
        );
      },
    );
  });
}

void _contracts() {
  Future<void> served(Seen seen, String hash) async {
    if (seen.request.uri.path != '/contract') return seen.answer(7);
    final etag = '"$hash"';
    if (seen.header('if-none-match') == etag) {
      return seen.text('', status: 304, headers: {'etag': etag});
    }
    await seen.answer(
      {
        'mothlight': 1,
        'hash': 'sha256:whole',
        'services': [
          {'name': 'Other', 'hash': 'sha256:ours'},
          {'name': 'Try', 'hash': hash},
        ],
      },
      headers: {'etag': etag},
    );
  }

  for (final (hash, expected) in [
    ('sha256:ours', ContractCheck.same),
    ('sha256:theirs', ContractCheck.changed),
  ]) {
    test('the contract is $expected, also at the second look', () {
      return withRig((seen) => served(seen, hash), (rig, transport) async {
        equal(await transport.check(contract), expected);
        equal(await transport.check(contract), expected);
        equal(rig.seen[0].header('if-none-match'), null);
        equal(rig.seen[1].header('if-none-match'), '"$hash"');
        equal(rig.seen[0].key, null);
      });
    });
  }

  test('a service that is not served is missing', () {
    return withRig((seen) => served(seen, 'x'), (rig, transport) async {
      const other = ServiceContract(name: 'No', hash: '', command: '');
      equal(await transport.check(other), ContractCheck.missing);
    });
  });

  for (final (hash, isHinted) in [
    ('sha256:ours', false),
    ('sha256:theirs', true),
  ]) {
    test('the hint after what cannot be decoded, with $hash', () {
      return withRig((seen) => served(seen, hash), (rig, transport) async {
        for (var i = 0; i < 3; i++) {
          final error = await throws<DecodeException>(
            () => transport.unary(echo, 'x'),
          );
          equal(error.hint?.contains(contract.command) ?? false, isHinted);
        }
        equal(rig.count('GET'), 1);
      });
    });
  }

  test('a look at the contract that failed is no look', () {
    var looks = 0;
    return withRig(
      (seen) =>
          seen.request.uri.path == '/contract' && ++looks == 1
              ? seen.cut()
              : served(seen, 'sha256:theirs'),
      (rig, transport) async {
        for (final isHinted in [false, true, true]) {
          final error = await throws<DecodeException>(
            () => transport.unary(echo, 'x'),
          );
          equal(error.hint?.contains(contract.command) ?? false, isHinted);
        }
        equal(looks, 2);
      },
    );
  });

  test('a route that is gone gets the hint too', () {
    return withRig(
      (seen) =>
          seen.request.method == 'POST'
              ? seen.problem('RouteNotFound', 'not_found', 404)
              : served(seen, 'sha256:theirs'),
      (rig, transport) async {
        final error = await throws<ApiException>(
          () => transport.unary(echo, 'x'),
        );
        check(error.hint!.contains(contract.command), '$error');
      },
    );
  });
}

void _background() {
  test('a call in the background is begun, asked for and stopped', () {
    var status = 202;
    return withRig(
      (seen) => switch ((seen.request.method, seen.header('accept'))) {
        ('POST', _) => seen.answer(
          {'id': 'a b', 'state': 'queued'},
          status: 202,
          headers: {'call-id': 'a b'},
        ),
        ('GET', 'application/vnd.mothlight.call+json') => seen.answer({
          'id': 'a b',
          'state': 'failed',
          'created': '2026-01-02T03:04:05Z',
          'items': 3,
          'problem': {'type': 'TooLong', 'length': 7, 'detail': 'too long'},
        }),
        ('GET', _) when status == 202 => () {
          status = 200;
          return seen.answer({'state': 'running'}, status: 202);
        }(),
        ('GET', _) => seen.answer('done'),
        _ => seen.text('', status: 204),
      },
      (rig, transport) async {
        final begun = await transport.begin(echo, 'x');
        equal(begun.id, 'a b');
        equal(rig.seen.single.header('prefer'), 'respond-async');
        equal(rig.seen.single.header('request-timeout'), null);
        final operation = transport.operation(echo, 'a b');
        equal(await operation.result(), 'done');
        final found = await operation.status();
        equal(found.state, CallState.failed);
        equal((found.error! as TooLong).length, 7);
        equal(found.created, DateTime.utc(2026, 1, 2, 3, 4, 5));
        await operation.cancel();
        equal(rig.lines.last, 'DELETE /calls/a%20b');
      },
    );
  });

  test('the answer of a known call outlasts its retries', () {
    var away = 4;
    return withRig(
      (seen) => away-- > 0 ? seen.cut() : seen.answer('done'),
      (rig, transport) async {
        equal(await transport.operation(echo, 'abc').result(), 'done');
        equal(rig.count('GET'), 5);
        away = 4;
        final error = await throws<ConnectionException>(
          () => transport.unary(echo, 'x'), // which it may not have yet
        );
        check(error.isTransient);
      },
      options: const CallOptions(retries: 1),
    );
  });

  test('to stop waiting for a known call does not end it', () {
    return withRig((seen) {}, (rig, transport) async {
      final operation = transport.operation(echo, 'abc');
      await throws<CallTimeoutException>(
        () => operation.result(timeout: ms(50)),
      );
      await Future<void>.delayed(ms(50));
      equal(rig.count('DELETE'), 0);
    });
  });
}
