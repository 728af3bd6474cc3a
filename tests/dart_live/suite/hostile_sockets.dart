/// WebSockets to servers that mean ill.
library;

import 'dart:async';
import 'dart:convert';

import 'package:mothlight/mothlight.dart';

import 'hostile.dart';

/// Upgrades, and sends [frames] bytes as they are; then [more] for ever.
Behaviour _upgrades(List<int> frames, [List<int> more = const []]) => (
  wire,
) async {
  await wire.upgrade(wire.key);
  await wire.send(frames);
  while (more.isNotEmpty) {
    await wire.send(more);
    await Future<void>.delayed(const Duration(milliseconds: 1));
  }
  await wire.gone();
};

List<int> _frame(int head, List<int> payload) => [
  head,
  if (payload.length < 126)
    payload.length
  else ...[
    126,
    payload.length >> 8,
    payload.length & 0xff,
  ],
  ...payload,
];

final List<int> _greeting = _frame(
  0x81,
  utf8.encode('{"call":"x","received":0}'),
);

/// A WebSocket to a server that upgrades it, and then behaves so.
void _speaks(String name, List<int> frames, [List<int> more = const []]) =>
    ends<MothlightException>(
      name,
      _upgrades([..._greeting, ...frames], more),
      converse,
    );

/// What is wrong before, with and after the upgrade.
void sockets() {
  ends<MothlightException>(
    'an upgrade with the wrong digest',
    stays(
      'HTTP/1.1 101 Go\r\nupgrade: websocket\r\nconnection: upgrade\r\n'
      'sec-websocket-accept: AAAA\r\n\r\n',
    ),
    converse,
  );
  ends<MothlightException>('no upgrade', answering('{}'), converse);
  ends<MothlightException>('silence before the upgrade', stays(''), converse);
  ends<MothlightException>('no greeting', _upgrades(const []), converse);
  _speaks('a masked frame', [0x81, 0x81, 1, 2, 3, 4, 5]);
  _speaks('a frame of no kind', _frame(0x83, [1]));
  _speaks('reserved bits', _frame(0xf1, [1]));
  _speaks('a length beyond all', [
    0x82,
    127,
    ...List.filled(8, 0x7f),
    ...List.filled(100, 0),
  ]);
  _speaks('a negative length', [0x82, 127, ...List.filled(8, 0xff)]);
  _speaks('text that is no UTF-8', _frame(0x81, [0xff, 0xfe]));
  _speaks('a ping that is too long', _frame(0x89, List.filled(200, 1)));
  _speaks('pings without end', const [], _frame(0x89, [1]));
  _speaks('pieces without end', _frame(0x01, [0x22]), _frame(0, [0x20]));
  _speaks('large pieces without end', _frame(0x01, [0x22]), [
    for (var i = 0; i < 4; i++) ..._frame(0, List.filled(60000, 0x20)),
  ]);
  _speaks('a piece of nothing', _frame(0x80, [0x20]));
  _speaks('a message within a message', [
    ..._frame(0x01, [0x22]),
    ..._frame(0x81, [0x22]),
  ]);
  _speaks('a close without sense', _frame(0x88, [0]));
  _speaks('a close with a code of no kind', _frame(0x88, [0, 1]));
  _speaks('greetings without end', const [], _greeting);
  _speaks(
    'received without end',
    const [],
    _frame(0x81, utf8.encode('{"received":0}')),
  );
  _speaks('received below zero', _frame(0x81, utf8.encode('{"received":-1}')));
  _speaks(
    'received of no kind',
    _frame(0x81, utf8.encode('{"received":1e99}')),
  );
}
