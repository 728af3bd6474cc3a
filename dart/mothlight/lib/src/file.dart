import 'dart:typed_data';

import 'chunks.dart';

/// A file to send, or one that came: its name, its length, and its bytes as
/// often as they are asked for (another try sends them again).
///
/// Out of `XFile`, of any platform:
/// `FileData(name: x.name, length: await x.length(), open: x.openRead)`.
final class FileData {
  /// [open] gives the bytes anew at every call.
  FileData({
    required this.name,
    required this.length,
    required Stream<List<int>> Function() open,
    this.mediaType,
  }) : _open = open,
       _bytes = null {
    RangeError.checkNotNegative(length, 'length');
  }

  FileData._(Uint8List bytes, this.name, this.mediaType)
    : length = bytes.length,
      _open = (() => Stream.fromIterable(chunksOf(bytes))),
      _bytes = bytes;

  /// Bytes that are in memory.
  factory FileData.bytes(
    Uint8List bytes, {
    String name = 'file',
    String? mediaType,
  }) => FileData._(bytes, name, mediaType);

  /// What the server is told it is called.
  final String name;

  /// Bytes.
  final int length;

  /// `image/jpeg`; null: the server looks.
  final String? mediaType;

  final Stream<List<int>> Function() _open;
  final Uint8List? _bytes;

  /// The bytes, from the beginning.
  Stream<List<int>> open() => _open();

  /// All bytes. Throws [StateError] where there are not [length] of them.
  Future<Uint8List> read() async {
    if (_bytes case final bytes?) return bytes;
    final bytes = Uint8List(length);
    var at = 0;
    await for (final chunk in open()) {
      if (at + chunk.length > length) throw StateError(_misfit('more'));
      bytes.setAll(at, chunk);
      at += chunk.length;
    }
    if (at < length) throw StateError(_misfit('only $at'));
    return bytes;
  }

  String _misfit(String found) =>
      'the file "$name" should have $length bytes and has $found';

  @override
  String toString() => 'FileData($name, $length bytes)';
}
