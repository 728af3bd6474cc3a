/// Frames of RFC 6455 as servers send them.
library;

import 'dart:convert';
import 'dart:typed_data';

import 'package:mothlight/src/frames.dart';

/// A frame, unmasked.
List<int> serverFrame(int opcode, List<int> payload, {bool isLast = true}) {
  final length = payload.length;
  final head = ByteData(10)..setUint8(0, (isLast ? 0x80 : 0) | opcode);
  final size = length < 126 ? 2 : (length < 65536 ? 4 : 10);
  if (size == 4) head.setUint16(2, length);
  if (size == 10) head.setUint32(6, length);
  head.setUint8(1, size == 2 ? length : (size == 4 ? 126 : 127));
  return [...head.buffer.asUint8List(0, size), ...payload];
}

/// A message of text.
List<int> serverText(String text) =>
    serverFrame(Opcode.text, utf8.encode(text));
