/// Calls with one answer: tries, ends, refusals, tokens, contracts.
library;

import 'dart:async';

import 'package:mothlight/io.dart';
import 'package:mothlight/mothlight.dart';

import 'harness.dart';
import 'rig.dart';

Future<void> _with(
  FutureOr<void> Function(Seen seen) handle,
  Future<void> Function(Rig rig, Transport transport) body, {
  CallOptions options = const CallOptions(),
  TokenSource? token,
  int maxAnswer = 1 << 20,
}) async {
  final rig = await Rig.start(handle);
  final transport = rig.transport(
    options: options,
    token: token,
    maxAnswer: maxAnswer,
  );
  try {
    await body(rig, transport);
  } finally {
    transport.close();
    await rig.stop();
  }
}

void main() {
  _tries();
  _ends();
  _answers();
  _tokens();
  _contracts();
  _background();
  run(limit: const Duration(seconds: 20));
}

void _tries() {
  test('a lost connection is tried again, with the same key', () {
    var tries = 0;
    return _with((seen) => ++tries < 3 ? seen.cut() : seen.answer('hi'), (
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
    return _with((seen) => seen.answer('x'), (rig, transport) async {
      await transport.unary(echo, 'x');
      await transport.unary(echo, 'x');
      check(rig.seen[0].key != rig.seen[1].key);
    });
  });

  test('after its retries a connection has failed', () {
    return _with((seen) => seen.cut(), (rig, transport) async {
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
    return _with(
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
    return _with(
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
    return _with(
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
    return _with(
      (seen) =>
          ++tries == 1
              ? seen.text('<h1>Bad gateway</h1>', status: 502)
              : seen.answer('y'),
      (rig, transport) async => equal(await transport.unary(echo, 'x'), 'y'),
    );
  });

  test('after silence the call is asked for', () {
    var asked = 0;
    return _with(
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
    return _with(
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
    return _with(
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
    return _with(
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
    return _with((seen) => seen.answer('x'), (rig, transport) async {
      final options = CallOptions(cancel: CancelToken()..cancel());
      await throws<CancelledException>(
        () => transport.unary(echo, 'x', options: options),
      );
      await Future<void>.delayed(ms(30));
      equal(rig.lines, <String>[]);
    });
  });

  test('a deadline ends the call here and there', () {
    return _with(
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
    return _with((seen) => seen.answer('x'), (rig, transport) async {
      const options = CallOptions(timeout: Duration.zero);
      await transport.unary(echo, 'x', options: options);
      equal(rig.seen.single.header('request-timeout'), null);
    });
  });

  test('the newest call wins, here at once', () {
    return _with(
      (seen) async {
        if (seen.body == '"new"') await seen.answer('new');
      },
      (rig, transport) async {
        const options = CallOptions(supersede: SupersedeKey('search box'));
        final older = transport.unary(echo, 'old', options: options);
        older.ignore();
        await rig.until(() => rig.seen.isNotEmpty);
        final newer = transport.unary(echo, 'new', options: options);
        await throws<SupersededException>(() => older);
        equal(await newer, 'new');
        final key = rig.seen.first.header('supersede-key')!;
        check(RegExp(r'^[0-9a-f]{32}/search%20box$').hasMatch(key), key);
        equal(rig.seen.last.header('supersede-key'), key);
        equal(rig.count('DELETE'), 0);
      },
    );
  });

  test('the newest call is made anew where an older one overtook it', () {
    var tries = 0;
    return _with(
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
    return _with(
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

void _answers() {
  test('declared errors are of their class', () {
    return _with(
      (seen) => seen.problem(
        'TooLong',
        'invalid_argument',
        400,
        fields: {'length': 7},
        headers: {'call-id': 'abc'},
      ),
      (rig, transport) async {
        final error = await throws<TooLong>(() => transport.unary(echo, 'x'));
        equal(error.length, 7);
        equal(error.callId, 'abc');
        equal(error.code, Code.invalidArgument);
        equal(rig.lines.length, 1);
      },
    );
  });

  for (final (type, code, status, matches) in [
    (
      'DeadlineExceeded',
      'deadline_exceeded',
      504,
      (Object error) => error is CallTimeoutException,
    ),
    (
      'Cancelled',
      'cancelled',
      499,
      (Object error) => error is CancelledException,
    ),
    (
      'Superseded',
      'aborted',
      409,
      (Object error) => error is SupersededException,
    ),
    (
      'QuotaExceeded',
      'resource_exhausted',
      429,
      (error) => error is OverloadedException && error.isTransient,
    ),
    (
      'Unauthenticated',
      'unauthenticated',
      401,
      (error) => error is UnauthenticatedException && error.hint != null,
    ),
    (
      'OfTomorrow',
      'never_heard_of',
      418,
      (Object error) =>
          error is ApiException &&
          error.type == 'OfTomorrow' &&
          error.code == Code.unknown &&
          error.status == 418,
    ),
  ]) {
    test('the problem $type', () {
      return _with((seen) => seen.problem(type, code, status), (
        rig,
        transport,
      ) async {
        final error = await throws<MothlightException>(
          () => transport.unary(echo, 'x'),
        );
        check(matches(error), '$error');
      });
    });
  }

  test('violations are listed', () {
    return _with(
      (seen) => seen.problem(
        'InvalidRequest',
        'invalid_argument',
        422,
        fields: {
          'errors': [
            {'path': 'text', 'message': 'too short'},
            'nonsense',
          ],
        },
      ),
      (rig, transport) async {
        final error = await throws<InvalidRequestException>(
          () => transport.unary(echo, 'x'),
        );
        equal('${error.violations}', '[text: too short]');
      },
    );
  });

  for (final (status, text, type, matches) in [
    (200, '<html>Log in</html>', 'text/html', _isDecode),
    (200, '{"half', 'application/json', _isDecode),
    (200, '7', 'application/json', _isDecode),
    (200, '"\xff', 'application/json', _isDecode),
    (404, 'nginx', 'text/html', (Object error) => _has(error, Code.notFound)),
    (302, '', 'text/html', (Object error) => error is ApiException),
    (
      500,
      '[]',
      'application/problem+json',
      (Object error) => _has(error, Code.unknown),
    ),
  ]) {
    test('an answer that is none of ours: $status $text', () {
      return _with((seen) => seen.text(text, status: status, type: type), (
        rig,
        transport,
      ) async {
        final error = await throws<MothlightException>(
          () => transport.unary(echo, 'x'),
        );
        check(matches(error), '$error');
        if (type == 'text/html') check(error.hint != null, '$error');
      });
    });
  }

  test('an answer that is too long is not read', () {
    return _with((seen) => seen.answer('x' * 5000), (rig, transport) async {
      final error = await throws<DecodeException>(
        () => transport.unary(echo, 'x'),
      );
      check(error.message.contains('1000 bytes'), error.message);
    }, maxAnswer: 1000);
  });

  test('a file is the bytes that came', () {
    return _with((seen) => seen.text('GIF89a', type: 'image/gif; q=1'), (
      rig,
      transport,
    ) async {
      final file = await transport.unary(
        method<String, FileData>(
          'plate',
          Cardinality.unary,
          readFile,
          isFile: true,
        ),
        'x',
      );
      equal(file.mediaType, 'image/gif');
      equal(String.fromCharCodes(await file.read()), 'GIF89a');
    });
  });

  test('Server-Timing comes as metadata', () {
    return _with(
      (seen) => seen.answer(
        'x',
        headers: {
          'call-id': 'abc',
          'server-timing':
              'queue;dur=1.50, batch;desc="8, \\"x\\"", =;, compute;dur=-1',
        },
      ),
      (rig, transport) async {
        late CallMetadata metadata;
        await transport.unary(
          echo,
          'x',
          options: CallOptions(onMetadata: (found) => metadata = found),
        );
        equal(metadata.callId, 'abc');
        equal(metadata.timings.keys.toList(), ['queue', 'batch', 'compute']);
        equal(
          metadata.timings['queue']!.duration,
          const Duration(microseconds: 1500),
        );
        equal(metadata.timings['batch']!.description, '8, "x"');
        equal(metadata.timings['compute']!.duration, null);
      },
    );
  });

  test('headers, priority and the path of the mount are sent', () {
    return _with((seen) => seen.answer('x'), (rig, _) async {
      final transport = Transport(
        rig.url.replace(path: '/api/'),
        adapter: IoAdapter(),
        options: const CallOptions(headers: {'X-One': '1'}),
      );
      await transport.unary(
        echo,
        'x',
        options: const CallOptions(headers: {'x-two': '2'}, priority: 0),
      );
      transport.close();
      final seen = rig.seen.single;
      equal(seen.line, 'POST /api/try/echo');
      equal(seen.header('x-one'), '1');
      equal(seen.header('x-two'), '2');
      equal(seen.header('priority'), 'u=0');
    });
  });

  test('what cannot be an address or an option is told', () async {
    for (final url in ['ftp://x', 'localhost:5000', 'http://', '/x']) {
      final transport = Transport(Uri.parse(url), adapter: IoAdapter());
      final error = await throws<ConnectionException>(
        () => transport.unary(echo, 'x'),
      );
      check(error.hint!.contains('http://host:port'), url);
      transport.close();
    }
    final transport = Transport(Uri.parse('http://x'), adapter: IoAdapter());
    for (final options in [
      const CallOptions(priority: 8),
      const CallOptions(supersede: SupersedeKey('')),
      CallOptions(supersede: SupersedeKey('ü' * 20)),
    ]) {
      await throws<ArgumentError>(
        () => transport.unary(echo, 'x', options: options),
      );
    }
    transport.close();
  });
}

bool _isDecode(Object error) => error is DecodeException;

bool _has(Object error, Code code) =>
    error is ApiException && error.code == code;

void _tokens() {
  FutureOr<void> guarded(Seen seen) =>
      seen.header('authorization') == 'Bearer good'
          ? seen.answer('in')
          : seen.problem('Unauthenticated', 'unauthenticated', 401);

  test('a refused token is asked for anew, once for all who wait', () async {
    var token = 'old';
    final asked = <bool>[];
    await _with(
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

  test(
    'a token that is refused twice is an UnauthenticatedException',
    () async {
      var forced = 0;
      await _with(
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

  test('a source that fails is an UnauthenticatedException', () async {
    await _with(
      guarded,
      token: ({required force}) {
        throw const FormatException('no keychain');
      },
      (rig, transport) async {
        final error = await throws<UnauthenticatedException>(
          () => transport.unary(echo, 'x'),
        );
        check(error.message.contains('no keychain'), error.message);
        equal(rig.lines, <String>[]);
      },
    );
  });

  test('a source that never answers is bounded by the deadline', () async {
    await _with(
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
      return _with((seen) => served(seen, hash), (rig, transport) async {
        equal(await transport.check(contract), expected);
        equal(await transport.check(contract), expected);
        equal(rig.seen[0].header('if-none-match'), null);
        equal(rig.seen[1].header('if-none-match'), '"$hash"');
        equal(rig.seen[0].key, null);
      });
    });
  }

  test('a service that is not served is missing', () {
    return _with((seen) => served(seen, 'x'), (rig, transport) async {
      const other = ServiceContract(name: 'No', hash: '', command: '');
      equal(await transport.check(other), ContractCheck.missing);
    });
  });

  for (final (hash, isHinted) in [
    ('sha256:ours', false),
    ('sha256:theirs', true),
  ]) {
    test('the hint after what cannot be decoded, with $hash', () {
      return _with((seen) => served(seen, hash), (rig, transport) async {
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

  test('a route that is gone gets the hint too', () {
    return _with(
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
    return _with(
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

  test('to stop waiting for a known call does not end it', () {
    return _with((seen) {}, (rig, transport) async {
      final operation = transport.operation(echo, 'abc');
      await throws<CallTimeoutException>(
        () => operation.result(timeout: ms(50)),
      );
      await Future<void>.delayed(ms(50));
      equal(rig.count('DELETE'), 0);
    });
  });
}
