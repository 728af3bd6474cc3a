/// What answers mean: errors, strangers, metadata.
library;

import 'dart:async';

import 'package:mothlight/generated.dart';
import 'package:mothlight/io.dart';

import 'harness.dart';
import 'rig.dart';

void main() {
  _answers();
  run(limit: const Duration(seconds: 20));
}

void _answers() {
  test('declared errors are of their class', () {
    return withRig(
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
        await Future<void>.delayed(ms(50));
        equal(rig.lines.length, 1); // it has ended: there is nothing to stop
      },
    );
  });

  test('a declared error of another version is a plain one', () {
    return withRig(
      (seen) => seen.problem(
        'TooLong',
        'invalid_argument',
        400,
        fields: {'length': 'seven'},
      ),
      (rig, transport) async {
        final error = await throws<ApiException>(
          () => transport.unary(echo, 'x'),
        );
        check(error is! TooLong);
        equal((error.type, error.code), ('TooLong', Code.invalidArgument));
        equal(error.message, 'it is TooLong');
        equal(error.problem.fields['length'], 'seven');
        check(error.hint!.contains(contract.command));
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
      (Object error) => error is OverloadedException && error.isTransient,
    ),
    (
      'Unauthenticated',
      'unauthenticated',
      401,
      (Object error) => error is UnauthenticatedException && error.hint != null,
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
      return withRig((seen) => seen.problem(type, code, status), (
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
    return withRig(
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
    (
      418,
      '{"type": "TooLong", "length": 7}', // of another server
      'application/json',
      (Object error) => error is! TooLong && _has(error, Code.unknown),
    ),
  ]) {
    test('an answer that is none of ours: $status $text', () {
      return withRig((seen) => seen.text(text, status: status, type: type), (
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
    return withRig((seen) => seen.answer('x' * 5000), (rig, transport) async {
      final error = await throws<DecodeException>(
        () => transport.unary(echo, 'x'),
      );
      check(error.message.contains('1000 bytes'), error.message);
    }, maxAnswer: 1000);
  });

  test('an answer is not read further than it may be long', () {
    return withRig(
      (seen) async {
        final response =
            seen.request.response
              ..bufferOutput = false
              ..write('x' * 5000);
        await response.flush(); // and no end
      },
      (rig, transport) async {
        final error = await throws<DecodeException>(
          () => transport.unary(
            echo,
            'x',
            options: CallOptions(idle: ms(700), retries: 0),
          ),
        );
        check(error.message.contains('1000 bytes'), error.message);
      },
      maxAnswer: 1000,
    );
  });

  test('what does not fit is told with its place', () {
    final scores = method<String, List<int>>(
      'scores',
      Cardinality.unary,
      (json) => JsonMap.of(json, 'Scores').read('scores', listOf(readInt)),
    );
    return withRig(
      (seen) => seen.answer({
        'scores': [1, 'two'],
      }),
      (rig, transport) async {
        final error = await throws<DecodeException>(
          () => transport.unary(scores, 'x'),
        );
        equal(error.path, 'scores[1]');
      },
    );
  });

  test('a state of a newer server is unknown', () {
    return withRig(
      (seen) => seen.answer({
        'id': 'abc',
        'state': 'frozen',
        'created': '2026-01-31T12:00:00Z',
      }),
      (rig, transport) async {
        final status = await transport.operation(echo, 'abc').status();
        equal(status.state, CallState.unknown);
      },
    );
  });

  test('a file is the bytes that came', () {
    return withRig((seen) => seen.text('GIF89a', type: 'image/gif; q=1'), (
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
    return withRig(
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
    return withRig((seen) => seen.answer('x'), (rig, _) async {
      final transport = Transport(
        rig.url.replace(path: '/api/'),
        adapter: IoAdapter(),
        options: const CallOptions(headers: {'X-One': '1'}),
      );
      await transport.unary(
        echo,
        'x',
        options: const CallOptions(
          headers: {'x-two': '2', 'Accept': 'text/x'},
          priority: 0,
        ),
      );
      transport.close();
      final seen = rig.seen.single;
      equal(seen.line, 'POST /api/try/echo');
      equal(seen.header('x-one'), '1');
      equal(seen.header('x-two'), '2');
      equal(seen.header('accept'), 'text/x'); // however it was written
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
