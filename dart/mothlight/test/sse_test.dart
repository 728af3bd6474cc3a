/// Server-sent events, cut wherever a network may cut them.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:math';

import 'package:mothlight/src/sse.dart';

import 'harness.dart';

typedef _Row = (String type, String id, String data);

Future<List<_Row>> _decode(
  Iterable<List<int>> chunks, {
  int limit = 1 << 20,
}) async {
  final events = Stream.fromIterable(
    chunks,
  ).transform(sseDecoder(limit: limit));
  return [await for (final event in events) (event.type, event.id, event.data)];
}

List<Object?> _flat(List<_Row> rows) => [
  for (final (type, id, data) in rows) [type, id, data],
];

/// What stands in [text] must give [expected], whole, cut in two at every
/// byte, byte by byte, and cut at random.
void _vector(String name, List<int> bytes, List<_Row> expected) {
  test(name, () async {
    final wanted = _flat(expected);
    equal(_flat(await _decode([bytes])), wanted, 'whole');
    for (var cut = 0; cut <= bytes.length; cut++) {
      final halves = [bytes.sublist(0, cut), bytes.sublist(cut)];
      equal(_flat(await _decode(halves)), wanted, 'cut at $cut');
    }
    equal(_flat(await _decode(bytes.map((byte) => [byte]))), wanted, 'bytes');
    final random = Random(7);
    for (var round = 0; round < 50; round++) {
      final chunks = <List<int>>[];
      for (var at = 0; at < bytes.length;) {
        final end = min(bytes.length, at + random.nextInt(6));
        chunks.add(bytes.sublist(at, end));
        at = end;
      }
      equal(_flat(await _decode(chunks)), wanted, 'round $round');
    }
  });
}

void main() {
  const rows = [('', '1', '{"t":"é€😀"}'), ('', '2', 'b'), ('end', '2', '{}')];
  const lines = [
    'id: 1', 'data: {"t":"é€😀"}', '', //
    ': hb', '', //
    'id:2', 'data:b', '', //
    'event: end', 'data: {}', '', '',
  ];
  for (final (name, ending) in [('LF', '\n'), ('CR', '\r'), ('CRLF', '\r\n')]) {
    _vector('events with $name', utf8.encode(lines.join(ending)), rows);
  }
  _vector(
    'mixed line ends',
    utf8.encode('data: a\r\rdata: b\n\r\ndata: c\r\n\n'),
    [('', '', 'a'), ('', '', 'b'), ('', '', 'c')],
  );
  _vector(
    'a byte order mark at the start',
    [
      0xef, 0xbb, 0xbf, //
      ...utf8.encode('data: a\n\n\uFEFFdata: b\n\ndata: \uFEFFc\n\n'),
    ],
    [('', '', 'a'), ('', '', '\uFEFFc')],
  );
  _vector(
    'data of several lines, empty ones, without a colon, with spaces',
    utf8.encode('data\ndata:\ndata:  x \ndata: y: z\n\ndata\n\ndata:\n\n'),
    [('', '', '\n\n x \ny: z'), ('', '', ''), ('', '', '')],
  );
  _vector(
    'ids stay, one with NUL does not count, an empty one takes it away',
    utf8.encode('id: 7\ndata: a\n\nid: 8\x009\ndata: b\n\nid\ndata: c\n\n'),
    [('', '7', 'a'), ('', '7', 'b'), ('', '', 'c')],
  );
  _vector(
    'what gives no event: comments, retry, unknown fields, no data',
    utf8.encode(
      ': c\n:\nretry: 10\nfoo: bar\n data: x\n\nevent: end\n\ndata: a\n\n',
    ),
    [('', '', 'a')],
  );
  _vector(
    'an event that no blank line ends',
    utf8.encode('data: a\n\ndata: b\n'),
    [('', '', 'a')],
  );
  _vector(
    'bytes that are no UTF-8',
    [
      ...utf8.encode('data: '),
      0xff,
      0xc3,
      10,
      10,
      ...utf8.encode('data: b\n\n'), //
    ],
    [('', '', '\uFFFD\uFFFD'), ('', '', 'b')],
  );

  test('an event over the limit is an error and the end', () async {
    var cancelled = false;
    final source = StreamController<List<int>>(
      onCancel: () => cancelled = true,
    );
    final events = <String>[], errors = <Object>[];
    final done = Completer<void>();
    source.stream
        .transform(sseDecoder(limit: 10))
        .listen(
          (event) => events.add(event.data),
          onError: errors.add,
          onDone: done.complete,
        );
    source.add(utf8.encode('data: abcd\n\ndata: efgh\n\n: any comment'));
    await Future<void>.delayed(Duration.zero);
    equal(events, ['abcd', 'efgh']);
    await done.future;
    equal(
      errors.single.toString(),
      'SseOverflow: an event is longer than 10 bytes',
    );
    check(cancelled, 'the source is cancelled');
    source.add(utf8.encode('data: x\n\n'));
    equal(events.length, 2);
  });

  test('the limit holds for each way to make an event long', () async {
    for (final endless in [
      'data: aaaaaaaa',
      'data: a\n',
      ':aaaaaaaaa',
      'event: aaaa',
    ]) {
      final chunks = Iterable.generate(5, (_) => utf8.encode(endless));
      await throws<SseOverflow>(() => _decode(chunks, limit: 20));
    }
    final rows = await _decode(
      Iterable.generate(500, (_) => utf8.encode(': hb\n\ndata: a\n\n')),
      limit: 10,
    );
    equal(rows.length, 500, 'what was before does not count');
    final quiet = Iterable.generate(500, (_) => utf8.encode(': hb\n'));
    equal(await _decode(quiet, limit: 10), <_Row>[]);
  });

  test('pause, resume and cancel reach the bytes at once', () async {
    final seen = <String>[];
    final source = StreamController<List<int>>(
      onPause: () => seen.add('pause'),
      onResume: () => seen.add('resume'),
      onCancel: () => seen.add('cancel'),
    );
    final events = <String>[];
    final subscription = source.stream
        .transform(sseDecoder(limit: 100))
        .listen((event) => events.add(event.data));
    source.add(utf8.encode('data: a\n\n'));
    await Future<void>.delayed(Duration.zero);
    subscription.pause();
    equal(seen, ['pause']);
    source.add(utf8.encode('data: b\n\n'));
    await Future<void>.delayed(Duration.zero);
    equal(events, ['a']);
    subscription.resume();
    await Future<void>.delayed(Duration.zero);
    equal(events, ['a', 'b']);
    unawaited(subscription.cancel());
    equal(seen.last, 'cancel', 'cancelled while the stream is quiet');
  });

  test("the bytes' own error passes through", () async {
    final bytes = Stream<List<int>>.error(const FormatException('cut'));
    await throws<FormatException>(
      () => bytes.transform(sseDecoder(limit: 9)).drain<void>(),
    );
  });

  test('10,000 events in small chunks', () async {
    final text = [
      for (var i = 1; i <= 10000; i++) 'id: $i\ndata: {"n": $i}\n\n',
    ];
    final bytes = utf8.encode(text.join());
    final chunks = [
      for (var at = 0; at < bytes.length; at += 1000)
        bytes.sublist(at, min(bytes.length, at + 1000)),
    ];
    final rows = await _decode(chunks, limit: 100);
    equal(rows.length, 10000);
    equal(rows.last, ('', '10000', '{"n": 10000}'));
  });

  unawaited(run());
}
