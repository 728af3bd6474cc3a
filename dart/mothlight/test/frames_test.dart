/// The frames of WebSockets, cut wherever a network may cut them.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:typed_data';

import 'package:mothlight/src/frames.dart';

import 'harness.dart';
import 'server_frames.dart';

void main() {
  _decoding();
  unawaited(run());
}

void _decoding() {
  test('frames cut at every byte', () {
    final long = 'ü' * 100, longer = Uint8List(70000)..[69999] = 7;
    final bytes = Uint8List.fromList([
      ...serverFrame(Opcode.text, utf8.encode('häl'), isLast: false),
      ...serverFrame(Opcode.ping, [1]),
      ...serverFrame(Opcode.more, utf8.encode('lo'), isLast: false),
      ...serverFrame(Opcode.more, []),
      ...serverText(''),
      ...serverText(long),
      ...serverFrame(Opcode.close, [3, 232]),
    ]);
    final whole = [
      [
        Opcode.ping,
        [1],
      ],
      [Opcode.text, utf8.encode('hällo')],
      [Opcode.text, <int>[]],
      [Opcode.text, utf8.encode(long)],
      [
        Opcode.close,
        [3, 232],
      ],
    ];
    for (var cut = 0; cut <= bytes.length; cut++) {
      final got = <List<Object>>[];
      FrameDecoder((code, payload) => got.add([code, payload]), limit: 300)
        ..add(Uint8List.sublistView(bytes, 0, cut))
        ..add(Uint8List.sublistView(bytes, cut));
      equal(got, whole, 'cut at $cut');
    }
    final got = <Uint8List>[];
    FrameDecoder((_, payload) => got.add(payload), limit: 70000)
      ..add(Uint8List.fromList(serverFrame(Opcode.binary, longer)));
    equal(got.single, longer);
  });

  test('what breaks the protocol, or is too long', () async {
    for (final (code, bytes) in [
      (1009, serverText('12345678901')),
      (1009, [0x81, 127, 127, 255, 255, 255, 255, 255, 255, 255]),
      (1009, [0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
      (
        1009,
        [
          ...serverFrame(Opcode.text, Uint8List(6), isLast: false),
          ...serverFrame(Opcode.more, Uint8List(6)),
        ],
      ),
      (1002, serverFrame(Opcode.more, [])),
      (
        1002,
        [...serverFrame(Opcode.text, [], isLast: false), ...serverText('')],
      ),
      (1002, [0xc1, 0]),
      (1002, [0x81, 0x80, 0, 0, 0, 0]),
      (1002, serverFrame(Opcode.ping, Uint8List(126))),
      (1002, serverFrame(Opcode.ping, [], isLast: false)),
      (1002, serverFrame(3, [])),
    ]) {
      final decoder = FrameDecoder((_, _) {}, limit: 10);
      final error = await throws<FrameException>(() {
        decoder.add(Uint8List.fromList(bytes));
        return null;
      });
      equal(error.code, code, '$error');
    }
  });

  test('the accept key of RFC 6455, 1.3', () {
    equal(
      socketAccept('dGhlIHNhbXBsZSBub25jZQ=='),
      's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    );
  });
}
