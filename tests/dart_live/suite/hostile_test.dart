/// The generated client against servers that mean ill: each call ends with a
/// typed error within its bounds, and nothing is left over.
///
///     dart hostile_test.dart [NAME]
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/mothlight.dart';
import 'package:telegraph_api/telegraph_api.dart';

import '../../../dart/mothlight/test/harness.dart';
import 'hostile.dart';
import 'hostile_sockets.dart';

const String _events = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n';
const String _item = 'id: 1\ndata: {"kind":"word","text":"a"}\n\n';

Future<void> main(List<String> arguments) async {
  _heads();
  _bodies();
  _answers();
  _streams();
  sockets();
  await run(
    limit: const Duration(seconds: 20),
    only: arguments.isEmpty ? null : arguments.first,
  );
}

void _heads() {
  final kilo = 'x' * 1000;
  ends<MothlightException>(
    'headers without end',
    says('HTTP/1.1 200 OK\r\n', 'x-a: $kilo\r\n'),
    judge,
  );
  ends<MothlightException>(
    'a header without end',
    says('HTTP/1.1 200 OK\r\nx-a: ', kilo),
    judge,
  );
  ends<MothlightException>('a status line without end', says('H', kilo), judge);
  ends<MothlightException>(
    'a reason without end',
    says('HTTP/1.1 200 ', kilo),
    judge,
  );
  ends<MothlightException>(
    '1xx without end',
    says('', 'HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n'),
    judge,
  );
  ends<ConnectionException>('no HTTP', says('SSH-2.0-OpenSSH_9\r\n'), judge);
  ends<ConnectionException>('TLS', says('\x15\x03\x01\x00\x02\x02\x46'), judge);
  ends<ConnectionException>('half a head', says('HTTP/1.1 20'), judge);
  ends<MothlightException>('silence before the head', stays(''), judge);
  ends<MothlightException>(
    'silence in the head',
    stays('HTTP/1.1 200 OK\r\ncon'),
    judge,
  );
  ends<MothlightException>(
    'a status of no kind',
    says('HTTP/1.1 999 What\r\ncontent-length: 0\r\n\r\n'),
    judge,
  );
  ends<MothlightException>(
    'another protocol, unasked',
    says('HTTP/1.1 101 Go\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    judge,
  );
  for (final status in [301, 302, 303, 307, 308]) {
    ends<ApiException>(
      'redirects without end ($status)',
      says(
        'HTTP/1.1 $status Away\r\nlocation: /telegraph/judge\r\n'
        'content-length: 0\r\n\r\n',
      ),
      judge,
    );
  }
}

void _bodies() {
  final kilo = 'x' * 1000;
  ends<MothlightException>(
    'a body without end',
    says('$json200\r\n"', kilo),
    judge,
  );
  ends<MothlightException>(
    'chunks without end',
    says('${json200}transfer-encoding: chunked\r\n\r\n', '3e8\r\n$kilo\r\n'),
    judge,
  );
  ends<MothlightException>(
    'a problem without end',
    says(
      'HTTP/1.1 400 No\r\ncontent-type: application/problem+json\r\n\r\n"',
      kilo,
    ),
    judge,
  );
  ends<MothlightException>(
    'a page without end',
    says('HTTP/1.1 404 No\r\ncontent-type: text/html\r\n\r\n', kilo),
    judge,
  );
  ends<ConnectionException>(
    'a length that is too large',
    says('${json200}content-length: 100\r\n\r\n{}'),
    judge,
  );
  ends<MothlightException>(
    'a length that is too small',
    says('${json200}content-length: 1\r\n\r\n{"mood":"good","score":1}'),
    judge,
  );
  ends<ConnectionException>(
    'a negative length',
    says('${json200}content-length: -5\r\n\r\n{}'),
    judge,
  );
  ends<ConnectionException>(
    'a length that is no number',
    says('${json200}content-length: many\r\n\r\n{}'),
    judge,
  );
  ends<MothlightException>(
    'a length beyond all',
    says('${json200}content-length: 99999999999999999999\r\n\r\n{}'),
    judge,
  );
  ends<ConnectionException>(
    'a chunk size that is none',
    says('${json200}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n'),
    judge,
  );
  ends<MothlightException>(
    'a chunk size beyond all',
    says('${json200}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}'),
    judge,
  );
  ends<MothlightException>(
    'silence in the body',
    stays('${json200}content-length: 100\r\n\r\n{'),
    judge,
  );
  ends<MothlightException>(
    'a byte now and then',
    says('${json200}content-length: 100000\r\n\r\n"', ' '),
    judge,
    timeout: const Duration(seconds: 1),
  );
  ends<MothlightException>(
    'what is no gzip',
    says('${json200}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}'),
    judge,
  );
  ends<MothlightException>('a bomb of gzip', (wire) async {
    final bomb = gzip.encode(List.filled(64 << 20, 32));
    await wire.send(
      ascii.encode(
        '${json200}content-encoding: gzip\r\n'
        'content-length: ${bomb.length}\r\n\r\n',
      ),
    );
    await wire.send(bomb);
    await wire.close();
  }, judge);
}

String _problem(String status, String more) =>
    'HTTP/1.1 $status No\r\ncontent-type: application/problem+json\r\n$more';

void _answers() {
  for (final type in ['text/html', 'image/png', '', 'text/event-stream']) {
    ends<DecodeException>(
      'JSON called ${type.isEmpty ? 'nothing' : type}',
      answering(
        '{"mood":"good","score":1}',
        head:
            'HTTP/1.1 200 OK\r\n'
            '${type.isEmpty ? '' : 'content-type: $type\r\n'}',
      ),
      judge,
    );
  }
  ends<DecodeException>('204', says('HTTP/1.1 204 No\r\n\r\n'), judge);
  ends<DecodeException>(
    'lists as deep as the sea',
    answering('[' * 200000),
    judge,
  );
  ends<DecodeException>(
    'messages as deep as the sea',
    answering('${'{"inner":' * 60000}{}${'}' * 60000}'),
    (api) => api.relay(Packet()),
  );
  ends<DecodeException>(
    'a number beyond all',
    answering('1e999'),
    (api) => api.square(number: 1),
  );
  ends<DecodeException>(
    'a number of a million digits',
    answering('9' * 900000),
    (api) => api.square(number: 1),
  );
  ends<ApiException>(
    'Retry-After for ever',
    answering(
      '{}',
      head: _problem('503', 'retry-after: 999999999999999999\r\n'),
    ),
    judge,
  );
  ends<MothlightException>(
    'Retry-After below zero',
    answering('{}', head: _problem('503', 'retry-after: -1\r\n')),
    judge,
  );
  ends<MothlightException>(
    'Retry-After of no kind',
    answering('{}', head: _problem('429', 'retry-after: soon\r\n')),
    judge,
  );
  ends<MothlightException>(
    '503 for ever',
    answering(
      '{"type":"Overloaded"}',
      head: _problem('503', 'retry-after: 0\r\n'),
    ),
    judge,
    retries: 5,
  );
  ends<MothlightException>(
    '401 for ever',
    answering('{"type":"Unauthenticated"}', head: _problem('401', '')),
    judge,
  );
  ends<ApiException>(
    'a problem whose members are of other kinds',
    answering(
      '{"type":["x"],"code":7,"status":"many","detail":{},"errors":"e"}',
      head: _problem('422', 'server-timing: ;;=,"\r\n'),
    ),
    judge,
  );
  ends<ApiException>(
    'a declared error without its fields',
    answering('{"type":"TextTooLong"}', head: _problem('400', '')),
    judge,
  );
  ends<MothlightException>('202 for ever', (wire) async {
    await wire.send(
      ascii.encode(
        'HTTP/1.1 202 Later\r\ncall-id: x/../y?\r\ncontent-length: 0\r\n\r\n',
      ),
    );
    await wire.close();
  }, judge);
}

void _streams() {
  final kilo = 'x' * 1000;
  ends<MothlightException>(
    'a line without end',
    says('$_events\r\ndata: ', kilo),
    say,
  );
  ends<MothlightException>(
    'an event without end',
    says('$_events\r\n', 'data: $kilo\n'),
    say,
  );
  ends<MothlightException>(
    'comments without end',
    says('$_events\r\n', ': hb\n\n'),
    say,
  );
  ends<MothlightException>(
    'a comment without end',
    says('$_events\r\n:', kilo),
    say,
  );
  ends<MothlightException>(
    'unknown events without end',
    says('$_events\r\n', 'event: x\ndata: y\n\n'),
    say,
  );
  ends<DecodeException>(
    'the same item again and again',
    says('$_events\r\n$_item'),
    say,
    retries: 100,
  );
  ends<MothlightException>(
    'a stream that ends at once, always',
    says('$_events\r\n'),
    say,
    retries: 5,
  );
  ends<MothlightException>('silence in a stream', stays('$_events\r\n'), say);
  ends<MothlightException>(
    'silence in an item',
    stays('$_events\r\nid: 1\nda'),
    say,
  );
  ends<DecodeException>(
    'an error that is none',
    says('$_events\r\nevent: error\ndata: [1]\n\n'),
    say,
  );
  ends<DecodeException>(
    'bytes that are no UTF-8',
    says('$_events\r\ndata: {"kind":"word","text":"\xff\xfe"\n\n'),
    say,
  );
  ends<MothlightException>('JSON instead of a stream', answering('[1,2]'), say);
}
