import 'dart:typed_data';

/// Bytes of a chunk of what is sent: small enough for a progress bar to move.
const int chunkBytes = 64 * 1024;

/// Views of [bytes], each of up to [chunkBytes].
Iterable<Uint8List> chunksOf(Uint8List bytes) sync* {
  for (var start = 0; start < bytes.length; start += chunkBytes) {
    final left = bytes.length - start;
    final size = left < chunkBytes ? left : chunkBytes;
    yield Uint8List.sublistView(bytes, start, start + size);
  }
}
