import 'dart:typed_data';

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
  }) : _open = open;

  /// Bytes that are in memory.
  factory FileData.bytes(
    Uint8List bytes, {
    String name = 'file',
    String? mediaType,
  }) => throw UnimplementedError('being written');

  /// What the server is told it is called.
  final String name;

  /// Bytes.
  final int length;

  /// `image/jpeg`; null: the server looks.
  final String? mediaType;

  final Stream<List<int>> Function() _open;

  /// The bytes, from the beginning.
  Stream<List<int>> open() => _open();

  /// All bytes. Throws [StateError] where there are not [length] of them.
  Future<Uint8List> read() => throw UnimplementedError('being written');
}
