import 'dart:convert';
import 'dart:typed_data';

import 'errors.dart';
import 'file.dart';
import 'integers.dart';
import 'json.dart';
import 'misfit.dart';
import 'tensor.dart';

/// Named tensors as one file: the safetensors format (8 bytes with the length
/// of a JSON header, the header, the bytes of the tensors).
///
/// On the server they are a `mothlight.File`:
///
/// ```python
/// from safetensors.numpy import load, save
///
/// @method
/// def embed(self, tensors: File) -> File:
///     pixels = load(tensors.data)["pixels"]
///     return File(save({"embedding": self.model(pixels)}))
/// ```
abstract final class Tensors {
  /// Bytes of the longest header that is read.
  static const int maxHeader = 16 * 1024 * 1024;

  static const int _alignment = 64;

  /// The tensors of a file. Their bytes are views of [data], which holds what
  /// it says without holes and overlaps, or is refused. Throws
  /// [DecodeException].
  static Map<String, Tensor> decode(Uint8List data) {
    final (header, start) = _header(data);
    final body = Uint8List.sublistView(data, start);
    final found = <(int, int)>[];
    final tensors = <String, Tensor>{};
    for (final name in header.members.keys) {
      if (name == '__metadata__') continue;
      tensors[name] = header.read(name, (json) {
        final (tensor, from, to) = _tensor(json, body);
        found.add((from, to));
        return tensor;
      });
    }
    // Each byte belongs to one tensor, as the format wants it. Of a name that
    // stands twice JSON keeps one, and the other leaves a hole.
    found.sort(
      (a, b) => a.$1 == b.$1 ? a.$2.compareTo(b.$2) : a.$1.compareTo(b.$1),
    );
    var end = 0;
    for (final (from, to) in found) {
      if (from != end) throw _refused('holes or overlaps at byte $end');
      end = to;
    }
    if (end != body.length) {
      throw _refused('${body.length - end} bytes too many');
    }
    return Map.unmodifiable(tensors);
  }

  /// The tensors of a file that a server sent. Throws [DecodeException].
  static Future<Map<String, Tensor>> fromFile(FileData file) async =>
      decode(await file.read());

  /// The file that holds [tensors]; their data begins at a multiple of 64.
  static Uint8List encode(Map<String, Tensor> tensors) {
    // Wide elements first: so all stay aligned without holes between them.
    final order =
        tensors.entries.toList()..sort((a, b) {
          final bySize = b.value.dtype.size.compareTo(a.value.dtype.size);
          return bySize != 0 ? bySize : a.key.compareTo(b.key);
        });
    final header = <String, Object?>{};
    var end = 0;
    for (final MapEntry(key: name, value: tensor) in order) {
      if (name == '__metadata__') {
        throw ArgumentError.value(name, 'tensors', 'is no name for a tensor');
      }
      final start = end;
      end += tensor.bytes.length;
      header[name] = {
        'dtype': tensor.dtype.wire,
        'shape': tensor.shape,
        'data_offsets': [start, end],
      };
    }
    final json = utf8.encode(jsonEncode(header));
    final dataStart =
        (8 + json.length + _alignment - 1) ~/ _alignment * _alignment;
    final data =
        Uint8List(dataStart + end)
          ..fillRange(8, dataStart, 0x20)
          ..setAll(8, json);
    ByteData.sublistView(data).setUint32(0, dataStart - 8, Endian.little);
    var at = dataStart;
    for (final MapEntry(value: tensor) in order) {
      data.setAll(at, tensor.bytes);
      at += tensor.bytes.length;
    }
    return data;
  }

  /// The file that holds [tensors], to be sent.
  static FileData toFile(
    Map<String, Tensor> tensors, {
    String name = 'tensors.safetensors',
  }) => FileData.bytes(encode(tensors), name: name);

  static (JsonMap, int) _header(Uint8List data) {
    if (data.length < 8) throw _refused('no header');
    final view = ByteData.sublistView(data);
    final length = view.getUint32(0, Endian.little);
    final isHuge = view.getUint32(4, Endian.little) != 0 || length > maxHeader;
    if (isHuge || length > data.length - 8) {
      throw _refused('a header that is too long');
    }
    final bytes = Uint8List.sublistView(data, 8, 8 + length);
    if (bytes.isEmpty || bytes.first != 0x7b) throw _refused('no JSON header');
    try {
      final header = jsonDecode(utf8.decode(bytes));
      return (JsonMap.of(header, 'the header'), 8 + length);
    } on FormatException catch (error) {
      throw _refused('no JSON header: ${error.message}');
    }
  }

  static (Tensor, int, int) _tensor(Object? json, Uint8List body) {
    final entry = JsonMap.of(json, 'a tensor');
    final dtype = entry.read('dtype', _readDType);
    final shape = entry.read('shape', listOf(readInt));
    final [from, to] = entry.read('data_offsets', _readRange);
    if (from < 0 || to < from || to > body.length) {
      throw _refused('a tensor from byte $from to $to of ${body.length}');
    }
    if (_elements(shape, to - from) * dtype.size != to - from) {
      throw _refused('${to - from} bytes for ${dtype.wire} of $shape');
    }
    return (
      Tensor(dtype, shape, Uint8List.sublistView(body, from, to)),
      from,
      to,
    );
  }

  static DType _readDType(Object? json) {
    final wire = readString(json);
    for (final dtype in DType.values) {
      if (dtype.wire == wire) return dtype;
    }
    throw misfit('a dtype that is known here', json);
  }

  static List<int> _readRange(Object? json) {
    final range = listOf(readInt)(json);
    if (range.length != 2) throw misfit('a start and an end', json);
    return range;
  }

  /// The product of [shape], or -1 where it is more than [limit] or senseless;
  /// never more than an int holds on the way.
  static int _elements(List<int> shape, int limit) {
    if (shape.length > 64 || shape.any((size) => size < 0)) return -1;
    if (shape.any((size) => size > maxSafeInt)) return -1;
    if (shape.contains(0)) return 0;
    var count = 1;
    for (final size in shape) {
      if (size > limit ~/ count) return -1;
      count *= size;
    }
    return count;
  }

  static DecodeException _refused(String why) =>
      DecodeException('the safetensors file has $why');
}
